-- name: judgements_of_release
-- All that was ever said of the answers of which somebody has judged one of this release: of the first repeat, or of what has
-- no repeats. Replaced ones, too: which of them stand depends on whose count.
SELECT j.judgement_id, j.release, j.example, j.kind, j.verdict, j.replaces, j.made_by
  FROM judgement j
 WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s AND j.metric = %(metric)s
   AND (j.subject NOT LIKE 'answer:%%' OR j.subject LIKE '%%:0')
   AND j.subject IN (SELECT k.subject FROM judgement k
                      WHERE k.tenant_id = %(tenant)s AND k.project_id = %(project)s AND k.metric = %(metric)s
                        AND k.release = %(release)s AND k.example = ANY (%(examples)s));

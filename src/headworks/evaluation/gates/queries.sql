-- What gates have looked at, and the judgements that they ask for.

-- name: lock_looks
SELECT pg_advisory_xact_lock(hashtextextended('gate_look:' || %(tenant)s::text || %(project)s::text || %(feature)s, 0))

-- name: looks_of
SELECT candidate, golden, answers, results, look, attempt, alpha, waits FROM gate_look
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND feature = %(feature)s AND base = %(base)s
 ORDER BY look, made_at, look_id

-- name: add_look
INSERT INTO gate_look (tenant_id, look_id, project_id, feature, golden, base, candidate, gate, answers, results, look, attempt, alpha,
                       verdict, waits, made_by)
VALUES (%(tenant)s, %(id)s, %(project)s, %(feature)s, %(golden)s, %(base)s, %(candidate)s, %(gate)s, %(answers)s, %(results)s,
        %(look)s, %(attempt)s, %(alpha)s, %(verdict)s, %(waits)s, %(by)s)

-- name: ask_for_judgement
-- Asked once: another request for the same answer is kept only where other people's word does not count for it, since who may
-- judge for the one may not for the other; people see one (`list_wanted`). True where nobody had asked before.
WITH asked AS (
    SELECT not_by FROM judgement_wanted
     WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND queue = %(queue)s AND metric = %(metric)s
       AND subject = %(subject)s)
INSERT INTO judgement_wanted (tenant_id, wanted_id, project_id, queue, metric, subject, release, dataset, example, trace_id, not_by,
                              reason, made_by)
SELECT %(tenant)s, %(id)s, %(project)s, %(queue)s, %(metric)s, %(subject)s, %(release)s, %(dataset)s, %(example)s, %(trace)s::uuid,
       %(not_by)s::uuid[], %(reason)s, %(by)s
 WHERE NOT EXISTS (SELECT FROM asked WHERE not_by @> %(not_by)s::uuid[] AND not_by <@ %(not_by)s::uuid[])
ON CONFLICT DO NOTHING
RETURNING NOT EXISTS (SELECT FROM asked)

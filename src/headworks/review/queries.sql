-- name: wait_for_turn
-- Judgements on one subject are given one after the other, so that each replaces the one before.
SELECT pg_advisory_xact_lock(hashtextextended('judgement ' || %(tenant)s::text || %(project)s::text || %(metric)s || %(subject)s, 7));

-- name: current_of_subject
SELECT j.judgement_id, j.rater, j.kind
  FROM judgement j
 WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s AND j.metric = %(metric)s AND j.subject = %(subject)s
   AND NOT EXISTS (SELECT FROM judgement n WHERE n.tenant_id = j.tenant_id AND n.replaces = j.judgement_id);

-- name: unknown_traces
-- Of these the ones that the caller can see no trace of, that nobody asks for, and that nobody has judged before: what was judged
-- may have been purged or erased since. The record of a call arrives in the moment that its trace's id tells.
SELECT s.subject
  FROM unnest(%(subjects)s::text[], %(traces)s::uuid[], %(made_at)s::timestamptz[]) AS s (subject, trace_id, made_at)
 WHERE NOT EXISTS (SELECT FROM judgement_wanted w
                    WHERE w.tenant_id = %(tenant)s AND w.project_id = %(project)s AND w.subject = s.subject)
   AND NOT EXISTS (SELECT FROM judgement j
                    WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s AND j.subject = s.subject)
   AND NOT EXISTS (SELECT FROM span p
                    WHERE p.tenant_id = %(tenant)s AND p.trace_id = s.trace_id AND (%(everybody)s OR p.principal_id = %(by)s))
   AND NOT EXISTS (SELECT FROM usage u
                    WHERE u.tenant_id = %(tenant)s AND u.arrived_at BETWEEN s.made_at - interval '2s' AND s.made_at + interval '2s'
                      AND u.trace_id = s.trace_id AND (%(everybody)s OR u.principal_id = %(by)s));

-- name: unknown_answers
-- As `unknown_traces`: no experiment of the project has them.
SELECT s.subject
  FROM unnest(%(subjects)s::text[], %(releases)s::text[], %(examples)s::text[], %(repeats)s::int[])
       AS s (subject, release, example, repeat)
 WHERE NOT EXISTS (SELECT FROM judgement_wanted w
                    WHERE w.tenant_id = %(tenant)s AND w.project_id = %(project)s AND w.subject = s.subject)
   AND NOT EXISTS (SELECT FROM judgement j
                    WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s AND j.subject = s.subject)
   AND NOT EXISTS (SELECT FROM experiment_output o
                     JOIN experiment e ON e.tenant_id = o.tenant_id AND e.release = o.release AND e.project_id = %(project)s
                    WHERE o.tenant_id = %(tenant)s AND o.release = s.release AND o.example = s.example AND o.repeat = s.repeat);

-- name: add_judgement
INSERT INTO judgement (tenant_id, judgement_id, project_id, metric, subject, release, dataset, example, trace_id, kind, is_blind,
                       rater, verdict, severity, failure_modes, content, replaces, made_by)
VALUES (%(tenant)s, %(judgement)s, %(project)s, %(metric)s, %(subject)s, %(release)s, %(dataset)s, %(example)s, %(trace)s,
        %(kind)s, %(is_blind)s, %(rater)s, %(verdict)s, %(severity)s, %(failure_modes)s, %(content)s, %(replaces)s, %(by)s);

-- name: add_imported
INSERT INTO judgement (tenant_id, judgement_id, project_id, metric, subject, release, dataset, example, trace_id, kind, is_blind,
                       rater, verdict, severity, failure_modes, content, replaces, made_by)
SELECT %(tenant)s, i.judgement, %(project)s, i.metric, i.subject, i.release, i.dataset, i.example, i.trace, 'opinion', false,
       i.rater, i.verdict, i.severity, string_to_array(i.failure_modes, ','), i.content, i.replaces, %(by)s
  FROM unnest(%(judgements)s::uuid[], %(metrics)s::text[], %(subjects)s::text[], %(releases)s::text[], %(datasets)s::text[],
              %(examples)s::text[], %(traces)s::uuid[], %(raters)s::text[], %(verdicts)s::text[], %(severities)s::smallint[],
              %(failure_modes)s::text[], %(contents)s::bytea[], %(replaced)s::uuid[])
       AS i (judgement, metric, subject, release, dataset, example, trace, rater, verdict, severity, failure_modes, content, replaces);

-- name: wait_for_import
SELECT pg_advisory_xact_lock(hashtextextended('judgements of ' || %(tenant)s::text || %(project)s::text, 7));

-- name: imported_already
SELECT j.judgement_id, j.metric, j.subject, j.rater, j.verdict, j.severity, j.failure_modes, j.content
  FROM judgement j
 WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s AND j.kind = 'opinion' AND j.rater = ANY (%(raters)s)
   AND NOT EXISTS (SELECT FROM judgement n WHERE n.tenant_id = j.tenant_id AND n.replaces = j.judgement_id);

-- name: list_judgements
-- Current ones that the caller may read: his own, and others' once he has judged the subject himself or it is decided;
-- all of them where `sees_all`. What was written of an answer may quote it: `is_readable` as for traces, of every document
-- that any answer to the example, or any stage of the trace, may quote. A digest has 71 characters.
SELECT j.judgement_id, j.metric, j.subject, j.release, j.dataset, j.example, j.trace_id, j.kind, j.is_blind, j.verdict,
       j.severity, j.failure_modes, j.replaces, j.made_at, coalesce(p.name, j.rater) AS rater, r.is_readable,
       CASE WHEN r.is_readable THEN j.content END AS content, j.content IS NULL AS is_erased
  FROM judgement j
  LEFT JOIN principal p ON p.tenant_id = j.tenant_id AND p.principal_id::text = j.rater
 CROSS JOIN LATERAL (SELECT NOT EXISTS (
        SELECT FROM (
               SELECT unnest(s.documents) AS document_id FROM span s
                WHERE s.tenant_id = j.tenant_id
                  AND s.trace_id = ANY (ARRAY[j.trace_id,
                          CASE WHEN j.subject ~ '^trace:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                               THEN substr(j.subject, 7)::uuid END])
                UNION ALL
               SELECT unnest(o.documents) FROM experiment_output o
                WHERE o.tenant_id = j.tenant_id AND o.release = j.release AND o.example = j.example
                UNION ALL
               SELECT unnest(o.documents) FROM experiment_output o
                WHERE o.tenant_id = j.tenant_id AND starts_with(j.subject, 'answer:')
                  AND o.release = substr(j.subject, 8, 71) AND o.example = substr(j.subject, 80, 71)) AS wanted
         WHERE NOT EXISTS (SELECT FROM document d
                            WHERE d.tenant_id = j.tenant_id AND d.document_id = wanted.document_id)) AS is_readable) r
 WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s
   AND (%(metric)s::text IS NULL OR j.metric = %(metric)s) AND (%(subject)s::text IS NULL OR j.subject = %(subject)s)
   AND (%(release)s::text IS NULL OR j.release = %(release)s)
   AND NOT EXISTS (SELECT FROM judgement n WHERE n.tenant_id = j.tenant_id AND n.replaces = j.judgement_id)
   AND (%(sees_all)s OR j.rater = %(me)s
        OR EXISTS (SELECT FROM judgement o
                    WHERE o.tenant_id = j.tenant_id AND o.project_id = j.project_id AND o.metric = j.metric
                      AND o.subject = j.subject AND (o.rater = %(me)s OR o.kind = 'adjudication')))
 ORDER BY j.made_at DESC, j.judgement_id DESC LIMIT %(most)s;

-- name: hidden_of_subject
-- How many opinions on a subject the caller can't read yet.
SELECT count(*) FROM judgement j
 WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s AND (%(metric)s::text IS NULL OR j.metric = %(metric)s)
   AND (%(subject)s::text IS NULL OR j.subject = %(subject)s) AND (%(release)s::text IS NULL OR j.release = %(release)s)
   AND NOT EXISTS (SELECT FROM judgement n WHERE n.tenant_id = j.tenant_id AND n.replaces = j.judgement_id)
   AND NOT (%(sees_all)s OR j.rater = %(me)s
        OR EXISTS (SELECT FROM judgement o
                    WHERE o.tenant_id = j.tenant_id AND o.project_id = j.project_id AND o.metric = j.metric
                      AND o.subject = j.subject AND (o.rater = %(me)s OR o.kind = 'adjudication')));

-- name: verdicts
SELECT j.subject, coalesce(p.name, j.rater) AS rater, j.kind, j.verdict, j.rater = %(me)s AS is_mine
  FROM judgement j
  LEFT JOIN principal p ON p.tenant_id = j.tenant_id AND p.principal_id::text = j.rater
 WHERE j.tenant_id = %(tenant)s AND j.project_id = %(project)s AND j.metric = %(metric)s
   AND NOT EXISTS (SELECT FROM judgement n WHERE n.tenant_id = j.tenant_id AND n.replaces = j.judgement_id)
 ORDER BY j.subject, j.made_at, j.judgement_id;

-- name: list_wanted
-- Open is what has too few raters whose word counts for it, and none of it the caller's; he is none of those whose does not.
-- An answer that several ask for in one queue is told once: by the request that has the fewest opinions.
SELECT * FROM (
SELECT DISTINCT ON (w.queue, w.metric, w.subject)
       w.wanted_id AS id, w.queue, w.metric, w.subject, w.release, w.dataset, w.example, w.trace_id, w.chance, w.reason,
       w.made_at, d.judged, d.is_mine
  FROM judgement_wanted w
 CROSS JOIN LATERAL (
        SELECT count(DISTINCT j.rater) FILTER (WHERE j.made_by <> ALL (w.not_by))::int AS judged,
               coalesce(bool_or(j.rater = %(me)s), false) AS is_mine
          FROM judgement j
         WHERE j.tenant_id = w.tenant_id AND j.project_id = w.project_id AND j.metric = w.metric AND j.subject = w.subject) d
 WHERE w.tenant_id = %(tenant)s AND w.project_id = %(project)s AND (%(queue)s::text IS NULL OR w.queue = %(queue)s)
   AND (%(metric)s::text IS NULL OR w.metric = %(metric)s)
   AND (%(done)s OR NOT d.is_mine AND d.judged < %(opinions)s AND %(by)s <> ALL (w.not_by))
 ORDER BY w.queue, w.metric, w.subject, d.judged, w.made_at, w.wanted_id) once
 ORDER BY made_at, id LIMIT %(most)s;

-- name: own_wanted
-- How much is open that the caller's word does not count for.
SELECT count(DISTINCT (w.queue, w.metric, w.subject)) FROM judgement_wanted w
 WHERE w.tenant_id = %(tenant)s AND w.project_id = %(project)s AND (%(queue)s::text IS NULL OR w.queue = %(queue)s)
   AND (%(metric)s::text IS NULL OR w.metric = %(metric)s) AND %(by)s = ANY (w.not_by)
   AND (SELECT count(DISTINCT j.rater) FROM judgement j
         WHERE j.tenant_id = w.tenant_id AND j.project_id = w.project_id AND j.metric = w.metric AND j.subject = w.subject
           AND j.made_by <> ALL (w.not_by)) < %(opinions)s;

-- name: wanted_of_subject
-- Where several ask for it, one for which the caller's word counts.
SELECT release, dataset, example, trace_id, %(by)s = ANY (not_by) AS is_own FROM judgement_wanted
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND metric = %(metric)s AND subject = %(subject)s
 ORDER BY is_own, wanted_id LIMIT 1;

-- name: add_sample
INSERT INTO review_sample (tenant_id, sample_id, project_id, feature, metric, population, seed, made_by)
VALUES (%(tenant)s, %(sample)s, %(project)s, %(feature)s, %(metric)s, %(population)s, %(seed)s, %(by)s);

-- name: add_drawn
INSERT INTO judgement_wanted (tenant_id, wanted_id, project_id, queue, metric, subject, release, trace_id, chance, sample_id,
                              reason, made_by)
VALUES (%(tenant)s, %(wanted)s, %(project)s, %(queue)s, %(metric)s, %(subject)s, %(release)s, %(trace)s, %(chance)s, %(sample)s,
        %(reason)s, %(by)s)
ON CONFLICT DO NOTHING;

-- name: find_sample
SELECT s.project_id, s.feature, s.metric, s.population FROM review_sample s
 WHERE s.tenant_id = %(tenant)s AND s.sample_id = %(sample)s;

-- name: drawn
SELECT subject, chance FROM judgement_wanted
 WHERE tenant_id = %(tenant)s AND sample_id = %(sample)s ORDER BY wanted_id;

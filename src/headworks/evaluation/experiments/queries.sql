-- Experiments, and what they have kept: outputs by release, example and repeat, scores by the scorer as well.

-- name: add_experiment
INSERT INTO experiment (tenant_id, experiment_id, project_id, feature, release, gate, dataset, dataset_name, scorers, examples,
                        repeats, at_once, most_cost_micro_usd, state, content, traces, made_by)
VALUES (%(tenant)s, %(experiment)s, %(project)s, %(feature)s, %(release)s, %(gate)s, %(dataset)s, %(dataset_name)s,
        %(scorers)s, %(examples)s, %(repeats)s, %(at_once)s, %(most_cost)s, 'running', %(content)s, %(traces)s, %(by)s)

-- name: running_alike
-- Of the same person, about the same answers and scores, with the same ceiling: to start another would ask twice.
SELECT experiment_id FROM experiment
 WHERE tenant_id = %(tenant)s AND made_by = %(by)s AND state = 'running' AND project_id = %(project)s AND release = %(release)s
   AND gate IS NOT DISTINCT FROM %(gate)s AND dataset = %(dataset)s AND dataset_name = %(dataset_name)s
   AND scorers = %(scorers)s::jsonb AND repeats = %(repeats)s AND most_cost_micro_usd IS NOT DISTINCT FROM %(most_cost)s
 ORDER BY number LIMIT 1

-- name: find_experiment
SELECT e.*, p.name AS project, r.name AS made_by_name
  FROM experiment e
  JOIN project p ON p.tenant_id = e.tenant_id AND p.project_id = e.project_id
  LEFT JOIN principal r ON r.tenant_id = e.tenant_id AND r.principal_id = e.made_by
 WHERE e.tenant_id = %(tenant)s AND e.experiment_id = %(experiment)s

-- name: list_experiments
SELECT e.*, p.name AS project, r.name AS made_by_name
  FROM experiment e
  JOIN project p ON p.tenant_id = e.tenant_id AND p.project_id = e.project_id
  LEFT JOIN principal r ON r.tenant_id = e.tenant_id AND r.principal_id = e.made_by
 WHERE e.tenant_id = %(tenant)s AND (%(feature)s::text IS NULL OR e.feature = %(feature)s)
   AND (%(release)s::text IS NULL OR e.release = %(release)s) AND (%(gate)s::text IS NULL OR e.gate = %(gate)s)
 ORDER BY e.number DESC
 LIMIT %(most)s

-- name: state_of
SELECT state, revision, cost_micro_usd FROM experiment WHERE tenant_id = %(tenant)s AND experiment_id = %(experiment)s

-- name: end_experiment
UPDATE experiment SET state = %(state)s, why = %(why)s, ended_at = now()
 WHERE tenant_id = %(tenant)s AND experiment_id = %(experiment)s AND state = 'running'

-- name: resume_experiment
UPDATE experiment
   SET state = 'running', why = '', ended_at = NULL, revision = revision + 1,
       most_cost_micro_usd = coalesce(%(most_cost)s, most_cost_micro_usd)
 WHERE tenant_id = %(tenant)s AND experiment_id = %(experiment)s
RETURNING revision

-- name: add_cost
UPDATE experiment SET cost_micro_usd = cost_micro_usd + %(cost)s
 WHERE tenant_id = %(tenant)s AND experiment_id = %(experiment)s

-- name: unreadable_documents
-- Those that the caller may not read in this very moment, or that are gone.
SELECT shown.document_id FROM unnest(%(documents)s::uuid[]) AS shown (document_id)
 WHERE NOT EXISTS (SELECT FROM document d WHERE d.tenant_id = %(tenant)s AND d.document_id = shown.document_id)

-- name: outputs_of
SELECT example, repeat, content, error_code FROM experiment_output
 WHERE tenant_id = %(tenant)s AND release = %(release)s AND example = ANY (%(examples)s::text[]) AND repeat < %(repeats)s

-- name: output_keys
SELECT example, repeat FROM experiment_output
 WHERE tenant_id = %(tenant)s AND release = %(release)s AND example = ANY (%(examples)s::text[]) AND repeat < %(repeats)s

-- name: scores_of
SELECT example, repeat, scorer, value, label, error_code, content FROM experiment_score
 WHERE tenant_id = %(tenant)s AND release = %(release)s AND example = ANY (%(examples)s::text[]) AND repeat < %(repeats)s
   AND scorer = ANY (%(scorers)s::text[])

-- name: score_keys
SELECT example, repeat, scorer FROM experiment_score
 WHERE tenant_id = %(tenant)s AND release = %(release)s AND example = ANY (%(examples)s::text[]) AND repeat < %(repeats)s
   AND scorer = ANY (%(scorers)s::text[])

-- name: count_scored
SELECT count(*) FROM experiment_score
 WHERE tenant_id = %(tenant)s AND release = %(release)s AND example = ANY (%(examples)s::text[]) AND repeat < %(repeats)s
   AND scorer = ANY (%(scorers)s::text[])

-- name: add_output
-- Not of an example that was erased meanwhile.
INSERT INTO experiment_output (tenant_id, release, example, repeat, trace_id, documents, content, error_code)
SELECT %(tenant)s, %(release)s, %(example)s, %(repeat)s, %(trace)s, %(documents)s::uuid[], %(content)s, %(error_code)s
 WHERE NOT EXISTS (SELECT FROM dataset_example e WHERE e.tenant_id = %(tenant)s AND e.digest = %(example)s AND e.content IS NULL)
ON CONFLICT DO NOTHING

-- name: add_score
INSERT INTO experiment_score (tenant_id, release, example, repeat, scorer, value, label, error_code, content)
VALUES (%(tenant)s, %(release)s, %(example)s, %(repeat)s, %(scorer)s, %(value)s, %(label)s, %(error_code)s, %(content)s)
ON CONFLICT DO NOTHING

-- name: forget_failed_outputs
DELETE FROM experiment_output
 WHERE tenant_id = %(tenant)s AND release = %(release)s AND example = ANY (%(examples)s::text[]) AND error_code IS NOT NULL

-- name: forget_failed_scores
DELETE FROM experiment_score
 WHERE tenant_id = %(tenant)s AND release = %(release)s AND example = ANY (%(examples)s::text[]) AND error_code IS NOT NULL
   AND scorer = ANY (%(scorers)s::text[])

-- Erasing what was made of somebody's traces: examples, what experiments hold of them, and answers that quote a document.

-- name: traces
-- Of everything that was made of one.
SELECT trace_id FROM dataset_example WHERE tenant_id = %(tenant)s AND trace_id IS NOT NULL AND content IS NOT NULL
UNION
SELECT unnest(traces) FROM experiment WHERE tenant_id = %(tenant)s

-- name: traces_of_outputs
SELECT DISTINCT trace_id FROM experiment_output WHERE tenant_id = %(tenant)s AND trace_id IS NOT NULL

-- name: forget_examples
UPDATE dataset_example SET content = NULL
 WHERE tenant_id = %(tenant)s AND trace_id = ANY (%(traces)s::uuid[]) AND content IS NOT NULL
RETURNING digest

-- name: add_erased
-- An example that was never pushed, so that it is not run again.
INSERT INTO dataset_example (tenant_id, digest) SELECT %(tenant)s, e FROM unnest(%(examples)s::text[]) AS e ON CONFLICT DO NOTHING

-- name: experiments_of_traces
SELECT experiment_id, content FROM experiment
 WHERE tenant_id = %(tenant)s AND traces && %(traces)s::uuid[] FOR UPDATE

-- name: forget_in_experiment
UPDATE experiment
   SET content = %(content)s, erased = erased + %(erased)s, traces = %(left)s::uuid[],
       state = CASE WHEN state = 'running' THEN 'cancelled' ELSE state END,
       why = CASE WHEN state = 'running' THEN 'Examples of it were erased.' ELSE why END,
       ended_at = coalesce(ended_at, now())
 WHERE tenant_id = %(tenant)s AND experiment_id = %(experiment)s

-- name: delete_outputs_of_examples
DELETE FROM experiment_output WHERE tenant_id = %(tenant)s AND example = ANY (%(examples)s::text[])

-- name: delete_outputs_quoting
DELETE FROM experiment_output
 WHERE tenant_id = %(tenant)s AND (trace_id = ANY (%(traces)s::uuid[]) OR documents && %(documents)s::uuid[])
RETURNING release, example, repeat

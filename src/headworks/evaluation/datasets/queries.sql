-- name: add_dataset
INSERT INTO dataset (tenant_id, dataset_id, project_id, name) VALUES (%(tenant)s, %(dataset)s, %(project)s, %(name)s)
ON CONFLICT (tenant_id, project_id, name) DO NOTHING;

-- name: wait_for_turn
-- Versions of one dataset are made one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('dataset ' || %(tenant)s::text || %(project)s::text || %(name)s, 7));

-- name: find_dataset
SELECT dataset_id FROM dataset WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND name = %(name)s;

-- name: latest
SELECT v.number, v.digest
  FROM dataset_version v
 WHERE v.tenant_id = %(tenant)s AND v.dataset_id = %(dataset)s ORDER BY v.number DESC LIMIT 1;

-- name: add_version
INSERT INTO dataset_version (tenant_id, dataset_id, number, digest, examples, unlocked, made_by)
VALUES (%(tenant)s, %(dataset)s, %(number)s, %(digest)s, %(examples)s, %(unlocked)s, %(by)s);

-- name: add_examples
INSERT INTO dataset_example (tenant_id, digest, trace_id, content)
SELECT %(tenant)s, e.digest, e.trace, e.content
  FROM unnest(%(digests)s::text[], %(traces)s::uuid[], %(contents)s::bytea[]) AS e (digest, trace, content)
    ON CONFLICT DO NOTHING;

-- name: known_examples
SELECT digest FROM dataset_example WHERE tenant_id = %(tenant)s AND digest = ANY (%(digests)s);

-- name: add_members
INSERT INTO dataset_member (tenant_id, dataset, example)
SELECT %(tenant)s, %(digest)s, e FROM unnest(%(examples)s::text[]) AS e ON CONFLICT DO NOTHING;

-- name: find_version
-- By the name's newest, by a number, or by a digest.
SELECT d.dataset_id, d.name, v.number, v.digest
  FROM dataset d
  JOIN dataset_version v ON v.tenant_id = d.tenant_id AND v.dataset_id = d.dataset_id
 WHERE d.tenant_id = %(tenant)s AND d.project_id = %(project)s AND d.name = %(name)s
   AND (%(number)s::bigint IS NULL OR v.number = %(number)s)
   AND (%(digest)s::text IS NULL OR starts_with(v.digest, %(digest)s))
 ORDER BY v.number DESC LIMIT 1;

-- name: name_of_digest
SELECT d.name
  FROM dataset_version v
  JOIN dataset d ON d.tenant_id = v.tenant_id AND d.dataset_id = v.dataset_id
 WHERE v.tenant_id = %(tenant)s AND v.digest = %(digest)s ORDER BY v.made_at LIMIT 1;

-- name: examples_of
SELECT e.digest, e.content
  FROM dataset_member m
  JOIN dataset_example e ON e.tenant_id = m.tenant_id AND e.digest = m.example
 WHERE m.tenant_id = %(tenant)s AND m.dataset = %(digest)s AND e.content IS NOT NULL;

-- name: erased_of
SELECT digest FROM dataset_example
 WHERE tenant_id = %(tenant)s AND digest = ANY (%(examples)s::text[]) AND content IS NULL;

-- name: count_erased
SELECT count(*)
  FROM dataset_member m
  JOIN dataset_example e ON e.tenant_id = m.tenant_id AND e.digest = m.example
 WHERE m.tenant_id = %(tenant)s AND m.dataset = %(digest)s AND e.content IS NULL;

-- name: examples_ever
-- Each example that any version had, with the last version that had it.
SELECT e.digest, e.content, max(v.number) AS number
  FROM dataset_version v
  JOIN dataset_member m ON m.tenant_id = v.tenant_id AND m.dataset = v.digest
  JOIN dataset_example e ON e.tenant_id = m.tenant_id AND e.digest = m.example
 WHERE v.tenant_id = %(tenant)s AND v.dataset_id = %(dataset)s AND e.content IS NOT NULL
 GROUP BY e.digest, e.content;

-- name: list_datasets
SELECT d.name, v.number, v.digest, v.examples, v.made_at, coalesce(p.name, 'somebody') AS made_by
  FROM dataset d
  JOIN dataset_version v ON v.tenant_id = d.tenant_id AND v.dataset_id = d.dataset_id
  LEFT JOIN principal p ON p.tenant_id = v.tenant_id AND p.principal_id = v.made_by
 WHERE d.tenant_id = %(tenant)s AND d.project_id = %(project)s
   AND NOT EXISTS (SELECT FROM dataset_version n
                    WHERE n.tenant_id = v.tenant_id AND n.dataset_id = v.dataset_id AND n.number > v.number)
 ORDER BY d.name;

-- name: list_versions
SELECT v.dataset_id, v.number, v.digest, v.examples, v.unlocked, v.made_at, coalesce(p.name, 'somebody') AS made_by,
       (SELECT count(*) FROM dataset_member m
          JOIN dataset_example e ON e.tenant_id = m.tenant_id AND e.digest = m.example
         WHERE m.tenant_id = v.tenant_id AND m.dataset = v.digest AND e.content IS NULL)::int AS erased
  FROM dataset d
  JOIN dataset_version v ON v.tenant_id = d.tenant_id AND v.dataset_id = d.dataset_id
  LEFT JOIN principal p ON p.tenant_id = v.tenant_id AND p.principal_id = v.made_by
 WHERE d.tenant_id = %(tenant)s AND d.project_id = %(project)s AND d.name = %(name)s
 ORDER BY v.number DESC;

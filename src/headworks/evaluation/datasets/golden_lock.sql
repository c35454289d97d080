-- In which split the examples of a workspace's golden files were last.

-- name: splits_of
SELECT path, sha256, content FROM golden_split WHERE tenant_id = %(tenant)s AND project_id = %(project)s;

-- name: put_splits
INSERT INTO golden_split (tenant_id, project_id, path, sha256, content)
VALUES (%(tenant)s, %(project)s, %(path)s, %(sha256)s, %(content)s)
ON CONFLICT (tenant_id, project_id, path)
DO UPDATE SET sha256 = excluded.sha256, content = excluded.content;

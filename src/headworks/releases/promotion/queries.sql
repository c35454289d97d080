-- name: moves_of_feature
-- In the order in which they were made, which no clock can turn.
SELECT m.move_id, m.name AS channel, m.from_digest, m.to_digest, m.revision, m.way, m.ungated, m.reason, m.proposal, m.moved_at,
       coalesce(p.name, 'somebody') AS moved_by
  FROM channel_move m
  LEFT JOIN principal p ON p.tenant_id = m.tenant_id AND p.principal_id = m.moved_by
 WHERE m.tenant_id = %(tenant)s AND m.project_id = %(project)s AND m.feature = %(feature)s
   AND (%(name)s::text IS NULL OR m.name = %(name)s)
 ORDER BY m.number;

-- name: gate_of_feature
SELECT digest, dataset, revision FROM feature_gate
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND feature = %(feature)s;

-- name: attach_gate
INSERT INTO feature_gate (tenant_id, project_id, feature, digest, dataset, attached_by)
VALUES (%(tenant)s, %(project)s, %(feature)s, %(digest)s, %(dataset)s, %(by)s)
ON CONFLICT (tenant_id, project_id, feature)
DO UPDATE SET digest = excluded.digest, dataset = excluded.dataset, attached_by = excluded.attached_by, attached_at = now(),
              revision = feature_gate.revision + 1;

-- name: open_blocks
SELECT b.block_id, b.digest, b.reason, b.made_at, coalesce(p.name, 'somebody') AS made_by
  FROM release_block b
  LEFT JOIN principal p ON p.tenant_id = b.tenant_id AND p.principal_id = b.made_by
 WHERE b.tenant_id = %(tenant)s AND b.project_id = %(project)s AND b.feature = %(feature)s AND b.lifted_at IS NULL
 ORDER BY b.made_at;

-- name: add_block
INSERT INTO release_block (tenant_id, block_id, project_id, feature, digest, reason, made_by)
VALUES (%(tenant)s, %(block)s, %(project)s, %(feature)s, %(digest)s, %(reason)s, %(by)s);

-- name: lift_block
UPDATE release_block SET lifted_by = %(by)s, lifted_at = now()
 WHERE tenant_id = %(tenant)s AND block_id = %(block)s AND lifted_at IS NULL
RETURNING feature;

-- name: authors_of
SELECT a.author, coalesce(n.kind, 'user') AS kind
  FROM (SELECT r.created_by AS author FROM release r
         WHERE r.tenant_id = %(tenant)s AND r.digest = %(digest)s AND r.created_by IS NOT NULL
         UNION
        SELECT p.made_by FROM proposal_release pr
          JOIN proposal p ON p.tenant_id = pr.tenant_id AND p.proposal_id = pr.proposal_id
         WHERE pr.tenant_id = %(tenant)s AND pr.digest = %(digest)s AND p.state <> 'draft') a
  LEFT JOIN principal n ON n.tenant_id = %(tenant)s AND n.principal_id = a.author;

-- name: release_row
SELECT feature, kind, project_id FROM release WHERE tenant_id = %(tenant)s AND digest = %(digest)s;

-- name: features_of_project
SELECT DISTINCT feature FROM release
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND kind = 'feature';

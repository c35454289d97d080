-- name: lock_project
SELECT pg_advisory_xact_lock(hashtextextended(%(project)s::text, 7));

-- name: workspace_files
SELECT path, sha256, content FROM workspace_file WHERE tenant_id = %(tenant)s AND project_id = %(project)s ORDER BY path;

-- name: put_workspace_file
INSERT INTO workspace_file (tenant_id, project_id, path, sha256, content)
VALUES (%(tenant)s, %(project)s, %(path)s, %(sha256)s, %(content)s)
ON CONFLICT (tenant_id, project_id, path)
DO UPDATE SET sha256 = excluded.sha256, content = excluded.content, applied_at = now();

-- name: drop_workspace_files
DELETE FROM workspace_file WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND NOT path = ANY(%(kept)s);

-- name: put_account
INSERT INTO account (tenant_id, project_id, name, definition) VALUES (%(tenant)s, %(project)s, %(name)s, %(definition)s)
ON CONFLICT (tenant_id, name) DO UPDATE SET definition = excluded.definition
WHERE account.project_id = excluded.project_id AND account.definition IS DISTINCT FROM excluded.definition;

-- name: drop_accounts
DELETE FROM account WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND NOT name = ANY(%(kept)s);

-- name: put_route
INSERT INTO route (tenant_id, project_id, name, definition, digest)
VALUES (%(tenant)s, %(project)s, %(name)s, %(definition)s, %(digest)s)
ON CONFLICT (tenant_id, name) DO UPDATE SET definition = excluded.definition, digest = excluded.digest
WHERE route.project_id = excluded.project_id AND route.digest <> excluded.digest;

-- name: drop_routes
DELETE FROM route WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND NOT name = ANY(%(kept)s);

-- name: names_elsewhere
SELECT 'route' AS kind, name FROM route WHERE tenant_id = %(tenant)s AND project_id <> %(project)s AND name = ANY(%(names)s)
UNION ALL
SELECT 'feature', feature FROM channel WHERE tenant_id = %(tenant)s AND project_id <> %(project)s AND feature = ANY(%(names)s)
UNION ALL
SELECT 'gated feature', feature FROM feature_gate WHERE tenant_id = %(tenant)s AND project_id <> %(project)s AND feature = ANY(%(names)s)
UNION ALL
SELECT 'provider', name FROM account WHERE tenant_id = %(tenant)s AND project_id <> %(project)s AND name = ANY(%(accounts)s);

-- name: put_release
INSERT INTO release (tenant_id, digest, project_id, feature, kind, manifest, created_by)
VALUES (%(tenant)s, %(digest)s, %(project)s, %(feature)s, %(kind)s, %(manifest)s, %(by)s)
ON CONFLICT (tenant_id, digest) DO NOTHING;

-- name: put_release_file
INSERT INTO release_file (tenant_id, sha256, media_type, content)
VALUES (%(tenant)s, %(sha256)s, %(media_type)s, %(content)s)
ON CONFLICT (tenant_id, sha256) DO NOTHING;

-- name: channels_of_project
SELECT feature, name, digest, revision, moved_by_way AS way, moved_at FROM channel
WHERE tenant_id = %(tenant)s AND project_id = %(project)s ORDER BY feature, name;

-- name: channel_of_feature
SELECT feature, name, digest, revision, moved_by_way AS way, moved_at FROM channel
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND feature = %(feature)s AND name = %(name)s;

-- name: channel_for_update
SELECT feature, name, digest, revision, moved_by_way AS way, moved_at FROM channel
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND feature = %(feature)s AND name = %(name)s FOR UPDATE;

-- name: open_channel
INSERT INTO channel (tenant_id, project_id, feature, name, digest, moved_by_way, revision)
SELECT %(tenant)s, %(project)s, %(feature)s, %(name)s, %(digest)s, %(way)s, coalesce(max(revision), 0) + 1
  FROM channel_move
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND feature = %(feature)s AND name = %(name)s
ON CONFLICT (tenant_id, project_id, feature, name) DO NOTHING;

-- name: move_channel
UPDATE channel SET digest = %(digest)s, moved_by_way = %(way)s, revision = revision + 1, moved_at = now()
WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND feature = %(feature)s AND name = %(name)s
  AND revision = %(revision)s;

-- name: note_move
-- Never dated before what was said of the release that it leaves, whatever the clock does: that is evidence of before.
INSERT INTO channel_move (tenant_id, move_id, project_id, feature, name, from_digest, to_digest, revision, way, ungated, reason,
                          proposal, moved_by, moved_at)
SELECT %(tenant)s, %(move)s, %(project)s, %(feature)s, %(name)s, %(from_digest)s, %(digest)s, c.revision, %(way)s,
       %(ungated)s, %(reason)s, %(proposal)s, %(by)s,
       greatest(clock_timestamp(), (SELECT max(a.made_at) FROM attestation a
                                     WHERE a.tenant_id = %(tenant)s AND a.digest = %(from_digest)s))
  FROM channel c
 WHERE c.tenant_id = %(tenant)s AND c.project_id = %(project)s AND c.feature = %(feature)s AND c.name = %(name)s;

-- name: close_channels
DELETE FROM channel WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND NOT feature = ANY(%(kept)s);

-- name: releases_of_tenant
-- Those of features; with the first digits of a digest of gates, too.
SELECT r.digest, r.feature, r.kind, r.created_at, r.project_id,
       coalesce((SELECT array_agg(c.name ORDER BY c.name) FROM channel c
                  WHERE c.tenant_id = r.tenant_id AND c.digest = r.digest), '{}') AS channels
  FROM release r
 WHERE r.tenant_id = %(tenant)s
   AND CASE WHEN %(digits)s::text IS NULL THEN r.kind = 'feature' ELSE starts_with(r.digest, %(digits)s) END
   AND (%(project)s::uuid IS NULL OR r.project_id = %(project)s) ORDER BY r.created_at DESC LIMIT %(most)s;

-- name: release_files
SELECT r.project_id, r.feature, r.kind, r.manifest, r.created_by, r.created_at, f.sha256, f.content
  FROM release r
  JOIN release_file f ON f.tenant_id = r.tenant_id
   AND f.sha256 IN (SELECT entry->>'sha256' FROM jsonb_array_elements(r.manifest) entry)
 WHERE r.tenant_id = %(tenant)s AND r.digest = %(digest)s;

-- name: live_channels
SELECT tenant_id, project_id, feature, name, digest, moved_by_way AS way FROM channel;

-- name: live_routes
SELECT tenant_id, name, definition, digest FROM route;

-- name: live_accounts
SELECT tenant_id, name, definition FROM account;

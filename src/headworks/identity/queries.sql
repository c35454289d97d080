-- Every statement names the tenant and runs under row-level security beside it.

-- ── The table of keys: read as hw_system for all tenants, or as hw_app for one's own ──

-- name: list_tenants
SELECT tenant_id, name, is_operator, created_at
  FROM tenant
 WHERE %(tenants)s::uuid[] IS NULL OR tenant_id = ANY (%(tenants)s::uuid[])
 ORDER BY created_at, tenant_id

-- name: list_holders
SELECT p.tenant_id, p.principal_id, p.name, p.kind, p.disabled_at IS NOT NULL AS is_disabled, g.groups,
       ARRAY(SELECT DISTINCT b.role
               FROM role_binding b
              WHERE b.tenant_id = p.tenant_id
                AND (b.principal_id = p.principal_id OR b.principal_id = ANY (g.groups))) AS roles
  FROM principal p
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(c.group_id), '{}') AS groups
         FROM principal_closure c
        WHERE c.tenant_id = p.tenant_id AND c.principal_id = p.principal_id AND c.is_enabled) g
 WHERE p.tenant_id = ANY (%(tenants)s::uuid[]) AND p.kind IN ('user', 'service')
   AND (%(principal)s::uuid IS NULL OR p.principal_id = %(principal)s)

-- name: list_held_keys
SELECT k.tenant_id, k.key_id, k.principal_id, k.secret_hash, k.permissions, k.allowed_models, k.expires_at,
       k.revoked_at IS NOT NULL AS is_revoked,
       CASE WHEN k.narrowed THEN ARRAY(SELECT n.group_id
                                         FROM api_key_group n
                                        WHERE n.tenant_id = k.tenant_id AND n.key_id = k.key_id) END AS groups
  FROM api_key k
 WHERE k.tenant_id = ANY (%(tenants)s::uuid[])

-- name: list_definitions
SELECT tenant_id, role, permissions FROM role_definition WHERE tenant_id = ANY (%(tenants)s::uuid[])

-- name: list_given_grants
SELECT tenant_id, project_id, feature, grantee_tenant_id, created_at
  FROM feature_grant WHERE tenant_id = ANY (%(tenants)s::uuid[])

-- ── Tenants and projects ──

-- name: wait_for_founding
SELECT pg_advisory_xact_lock(hashtextextended('headworks.founding', 0))

-- name: add_tenant
INSERT INTO tenant (tenant_id, name, is_operator) VALUES (%(tenant)s, %(name)s, %(is_operator)s)

-- name: add_project
INSERT INTO project (tenant_id, project_id, name)
VALUES (%(tenant)s, %(project)s, %(name)s)
    ON CONFLICT DO NOTHING

-- name: list_projects
SELECT project_id AS id, name, created_at FROM project WHERE tenant_id = %(tenant)s ORDER BY name

-- ── Principals and groups ──

-- name: add_principal
INSERT INTO principal (tenant_id, principal_id, kind, name)
VALUES (%(tenant)s, %(principal)s, %(kind)s, %(name)s)
    ON CONFLICT DO NOTHING

-- name: find_curator
SELECT principal_id, name FROM principal WHERE tenant_id = %(tenant)s AND kind = 'curator'

-- name: list_principals
SELECT p.principal_id AS id, p.name, p.kind, p.disabled_at, p.created_at,
       ARRAY(SELECT b.role
               FROM role_binding b
              WHERE b.tenant_id = p.tenant_id AND b.principal_id = p.principal_id
              ORDER BY 1) AS roles,
       ARRAY(SELECT g.name
               FROM membership m
               JOIN principal g ON g.tenant_id = m.tenant_id AND g.principal_id = m.group_id
              WHERE m.tenant_id = p.tenant_id AND m.principal_id = p.principal_id
              ORDER BY 1) AS groups
  FROM principal p
 WHERE p.tenant_id = %(tenant)s AND p.kind <> 'curator'
   AND (%(name)s::text IS NULL OR p.name = %(name)s)
 ORDER BY p.kind DESC, p.name

-- name: list_groups
SELECT p.principal_id AS id, p.name, p.disabled_at, p.created_at,
       ARRAY(SELECT b.role
               FROM role_binding b
              WHERE b.tenant_id = p.tenant_id AND b.principal_id = p.principal_id
              ORDER BY 1) AS roles,
       ARRAY(SELECT m.name
               FROM membership s
               JOIN principal m ON m.tenant_id = s.tenant_id AND m.principal_id = s.principal_id
              WHERE s.tenant_id = p.tenant_id AND s.group_id = p.principal_id
              ORDER BY 1) AS members
  FROM principal p
 WHERE p.tenant_id = %(tenant)s AND p.kind = 'group'
   AND (%(name)s::text IS NULL OR p.name = %(name)s)
 ORDER BY p.name

-- name: list_names
SELECT principal_id, name, kind, disabled_at IS NOT NULL AS is_disabled
  FROM principal
 WHERE tenant_id = %(tenant)s AND kind <> 'curator'

-- name: list_names_of
SELECT principal_id, name, kind
  FROM principal
 WHERE tenant_id = %(tenant)s AND principal_id = ANY (%(principals)s::uuid[])

-- name: disable_principal
UPDATE principal SET disabled_at = now()
 WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s AND disabled_at IS NULL

-- name: enable_principal
UPDATE principal SET disabled_at = NULL
 WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s AND disabled_at IS NOT NULL

-- name: add_member
INSERT INTO membership (tenant_id, group_id, principal_id)
VALUES (%(tenant)s, %(group)s, %(principal)s)
    ON CONFLICT DO NOTHING

-- name: list_groups_above
-- The groups that a principal is in, also through groups.
SELECT group_id, is_enabled FROM principal_closure WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s

-- name: list_edges_above
-- The memberships that lead from a principal to all groups that it is in, with the groups' names.
SELECT m.principal_id, m.group_id, g.name, g.disabled_at IS NOT NULL AS is_disabled
  FROM membership m
  JOIN principal g ON g.tenant_id = m.tenant_id AND g.principal_id = m.group_id
 WHERE m.tenant_id = %(tenant)s
   AND (m.principal_id = %(principal)s
        OR m.principal_id IN (SELECT c.group_id FROM principal_closure c
                               WHERE c.tenant_id = %(tenant)s AND c.principal_id = %(principal)s))
 ORDER BY g.name

-- name: remove_member
DELETE FROM membership
 WHERE tenant_id = %(tenant)s AND group_id = %(group)s AND principal_id = %(principal)s

-- name: count_owners
SELECT count(DISTINCT p.principal_id)
  FROM principal p
  JOIN role_binding b ON b.tenant_id = p.tenant_id AND b.role = %(role)s
   AND (b.principal_id = p.principal_id
        OR b.principal_id IN (SELECT c.group_id
                                FROM principal_closure c
                               WHERE c.tenant_id = p.tenant_id AND c.principal_id = p.principal_id AND c.is_enabled))
 WHERE p.tenant_id = %(tenant)s AND p.kind IN ('user', 'service') AND p.disabled_at IS NULL

-- ── Roles ──

-- name: list_roles_given_by
-- What a group gives its members: its own roles, and those of the groups that it is in.
SELECT DISTINCT b.role FROM role_binding b
 WHERE b.tenant_id = %(tenant)s
   AND (b.principal_id = %(group)s
        OR b.principal_id IN (SELECT c.group_id FROM principal_closure c
                               WHERE c.tenant_id = %(tenant)s AND c.principal_id = %(group)s AND c.is_enabled))

-- name: add_binding
INSERT INTO role_binding (tenant_id, principal_id, role)
VALUES (%(tenant)s, %(principal)s, %(role)s)
    ON CONFLICT DO NOTHING

-- name: remove_binding
DELETE FROM role_binding
 WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s AND role = %(role)s

-- name: list_bound_names
SELECT b.role, p.name
  FROM role_binding b
  JOIN principal p ON p.tenant_id = b.tenant_id AND p.principal_id = b.principal_id
 WHERE b.tenant_id = %(tenant)s AND (%(roles)s::text[] IS NULL OR b.role = ANY (%(roles)s::text[]))
 ORDER BY b.role, p.name

-- name: list_definers
SELECT d.role, d.project_id, p.name
  FROM role_definition d
  JOIN project p ON p.tenant_id = d.tenant_id AND p.project_id = d.project_id
 WHERE d.tenant_id = %(tenant)s

-- name: set_definition
INSERT INTO role_definition (tenant_id, role, permissions, project_id)
VALUES (%(tenant)s, %(role)s, %(permissions)s, %(project)s)
    ON CONFLICT (tenant_id, role) DO UPDATE SET permissions = EXCLUDED.permissions
     WHERE role_definition.project_id = EXCLUDED.project_id

-- name: remove_definition
DELETE FROM role_definition WHERE tenant_id = %(tenant)s AND role = %(role)s

-- ── API keys ──

-- name: read_clock
SELECT now()

-- name: add_key
INSERT INTO api_key (tenant_id, key_id, principal_id, principal_kind, name, secret_hash, permissions, allowed_models,
                     narrowed, expires_at)
VALUES (%(tenant)s, %(key)s, %(principal)s, %(kind)s, %(name)s, %(secret_hash)s, %(permissions)s, %(models)s,
        %(narrowed)s, %(expires_at)s)

-- name: add_key_group
INSERT INTO api_key_group (tenant_id, key_id, group_id) VALUES (%(tenant)s, %(key)s, %(group)s)

-- name: list_keys
SELECT k.key_id AS id, k.name, p.name AS principal, p.principal_id, k.permissions, k.allowed_models AS models,
       k.expires_at, k.revoked_at, k.created_at,
       CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
            WHEN k.expires_at <= now() THEN 'expired'
            ELSE 'active' END AS state,
       CASE WHEN k.narrowed THEN ARRAY(SELECT g.name
                                         FROM api_key_group n
                                         JOIN principal g ON g.tenant_id = n.tenant_id AND g.principal_id = n.group_id
                                        WHERE n.tenant_id = k.tenant_id AND n.key_id = k.key_id
                                        ORDER BY 1) END AS groups
  FROM api_key k
  JOIN principal p ON p.tenant_id = k.tenant_id AND p.principal_id = k.principal_id
 WHERE k.tenant_id = %(tenant)s
   AND (%(key)s::uuid IS NULL OR k.key_id = %(key)s)
   AND (%(principal)s::uuid IS NULL OR k.principal_id = %(principal)s)
 ORDER BY k.created_at, k.key_id

-- name: revoke_key
UPDATE api_key SET revoked_at = now()
 WHERE tenant_id = %(tenant)s AND key_id = %(key)s AND revoked_at IS NULL

-- ── Grants ──

-- name: add_grant
INSERT INTO feature_grant (tenant_id, project_id, feature, grantee_tenant_id)
VALUES (%(tenant)s, %(project)s, %(feature)s, %(grantee)s)
    ON CONFLICT DO NOTHING

-- name: remove_grant
DELETE FROM feature_grant
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND feature = %(feature)s
   AND grantee_tenant_id = %(grantee)s

-- name: list_grants
SELECT CASE WHEN tenant_id = %(tenant)s THEN 'given' ELSE 'received' END AS direction,
       feature, project_id AS project, tenant_id AS tenant, grantee_tenant_id AS grantee, created_at
  FROM feature_grant
 WHERE tenant_id = %(tenant)s OR grantee_tenant_id = %(tenant)s
 ORDER BY feature, tenant_id, grantee_tenant_id

-- ── Claim links and web sessions ──

-- name: add_claim
INSERT INTO claim (tenant_id, claim_hash, principal_id, expires_at)
VALUES (%(tenant)s, %(hash)s, %(principal)s, now() + make_interval(secs => %(lasts_s)s))
RETURNING expires_at

-- name: use_claim
UPDATE claim c SET used_at = now()
  FROM principal p
 WHERE c.tenant_id = %(tenant)s AND c.claim_hash = %(hash)s AND c.used_at IS NULL AND c.expires_at > now()
   AND p.tenant_id = c.tenant_id AND p.principal_id = c.principal_id AND p.kind = 'user' AND p.disabled_at IS NULL
RETURNING p.principal_id, p.name

-- name: remove_old_claims
DELETE FROM claim WHERE tenant_id = %(tenant)s AND (used_at IS NOT NULL OR expires_at <= now())

-- name: remove_claims_of
DELETE FROM claim WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s

-- name: add_session
INSERT INTO web_session (tenant_id, session_hash, principal_id, expires_at, replaces)
VALUES (%(tenant)s, %(hash)s, %(principal)s, coalesce(%(expires_at)s, now() + make_interval(secs => %(lasts_s)s)),
        %(replaces)s)
RETURNING expires_at

-- name: find_session
SELECT s.principal_id, s.expires_at, s.replaces, s.created_at < now() - make_interval(secs => %(rotate_s)s) AS is_due,
       s.last_seen_at < now() - interval '1 minute' AS is_quiet
  FROM web_session s
 WHERE s.tenant_id = %(tenant)s AND s.session_hash = %(hash)s AND s.revoked_at IS NULL AND s.expires_at > now()
   AND s.last_seen_at > now() - make_interval(secs => %(idle_s)s)

-- name: see_session
UPDATE web_session SET last_seen_at = now() WHERE tenant_id = %(tenant)s AND session_hash = %(hash)s

-- name: end_replaced_session
WITH first_use AS (
    UPDATE web_session SET replaces = NULL
     WHERE tenant_id = %(tenant)s AND session_hash = %(hash)s AND replaces IS NOT NULL)
UPDATE web_session SET expires_at = least(expires_at, now() + interval '10 seconds')
 WHERE tenant_id = %(tenant)s AND session_hash = %(replaced)s

-- name: end_session
UPDATE web_session SET revoked_at = now()
 WHERE tenant_id = %(tenant)s AND session_hash = %(hash)s AND revoked_at IS NULL
RETURNING principal_id

-- name: end_sessions_of
UPDATE web_session SET revoked_at = now()
 WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s AND revoked_at IS NULL

-- name: remove_old_sessions
DELETE FROM web_session
 WHERE tenant_id = %(tenant)s
   AND (revoked_at IS NOT NULL OR expires_at <= now() OR last_seen_at <= now() - make_interval(secs => %(idle_s)s))


-- What identity knows of one person, taken away. The row itself stays, without a name: others point to its id.

-- name: is_owner
-- Also through groups.
SELECT EXISTS (SELECT FROM role_binding b
                WHERE b.tenant_id = %(tenant)s AND b.role = %(owner)s
                  AND (b.principal_id = %(person)s
                       OR b.principal_id IN (SELECT c.group_id FROM principal_closure c
                                              WHERE c.tenant_id = %(tenant)s AND c.principal_id = %(person)s)))

-- name: delete_sessions
DELETE FROM web_session WHERE tenant_id = %(tenant)s AND principal_id = %(person)s

-- name: delete_claims
DELETE FROM claim WHERE tenant_id = %(tenant)s AND principal_id = %(person)s

-- name: delete_roles
DELETE FROM role_binding WHERE tenant_id = %(tenant)s AND principal_id = %(person)s

-- name: delete_memberships
DELETE FROM membership WHERE tenant_id = %(tenant)s AND principal_id = %(person)s

-- name: revoke_keys
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()), name = ''
 WHERE tenant_id = %(tenant)s AND principal_id = %(person)s

-- name: rename
UPDATE principal SET name = %(name)s, disabled_at = coalesce(disabled_at, now())
 WHERE tenant_id = %(tenant)s AND principal_id = %(person)s

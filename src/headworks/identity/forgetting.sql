-- What identity knows of one person, taken away. The row itself stays, without a name: others point to its id.

-- name: is_owner
SELECT EXISTS (SELECT FROM role_binding
                WHERE tenant_id = %(tenant)s AND principal_id = %(person)s AND role = %(owner)s)

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

-- name: snapshot_versions
-- Of all tenants: what moved since the last look is read anew.
SELECT tenant_id, version FROM snapshot_version;

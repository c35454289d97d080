-- name: snapshot_versions
-- Of all tenants: what moved since the last look is read anew. And what time it is here.
SELECT tenant_id, version, extract(epoch FROM clock_timestamp())::float8 AS now FROM snapshot_version;

-- name: signing_keys
SELECT key_id, is_own, material, created_at, retired_at FROM signing_key WHERE tenant_id = %(tenant)s ORDER BY created_at, key_id;

-- name: add_signing_key
INSERT INTO signing_key (tenant_id, key_id, is_own, material) VALUES (%(tenant)s, %(key)s, %(own)s, %(material)s)
ON CONFLICT (tenant_id, key_id) DO NOTHING;

-- name: retire_signing_keys
UPDATE signing_key SET retired_at = clock_timestamp()
 WHERE tenant_id = %(tenant)s AND is_own AND retired_at IS NULL AND key_id <> %(kept)s;

-- name: add_attestation
INSERT INTO attestation (tenant_id, attestation_id, digest, predicate_type, envelope, made_at)
VALUES (%(tenant)s, %(attestation)s, %(digest)s, %(type)s, %(envelope)s, %(at)s)
ON CONFLICT (tenant_id, attestation_id) DO NOTHING;

-- name: attestations_about
SELECT attestation_id, digest, predicate_type, envelope, made_at FROM attestation
 WHERE tenant_id = %(tenant)s AND digest = %(digest)s ORDER BY made_at, attestation_id;

-- name: release_is_there
SELECT feature, kind, project_id FROM release WHERE tenant_id = %(tenant)s AND digest = %(digest)s;

-- name: wait_for_signing_keys
SELECT pg_advisory_xact_lock(hashtextextended('signing keys of ' || %(tenant)s::text, 7));

-- name: time_to_say
-- Never before what was said of the digest already, nor before it was rolled back from, whatever the clock does: the last
-- word is the last word.
SELECT greatest(clock_timestamp(),
                (SELECT max(a.made_at) + interval '1 microsecond' FROM attestation a
                  WHERE a.tenant_id = %(tenant)s AND a.digest = %(digest)s),
                (SELECT max(m.moved_at) + interval '1 microsecond' FROM channel_move m
                  WHERE m.tenant_id = %(tenant)s AND m.from_digest = %(digest)s AND m.way = 'rollback'));

-- name: time_now
SELECT clock_timestamp();

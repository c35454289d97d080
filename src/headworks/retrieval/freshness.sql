-- Versions and validity of documents, and when sources are crawled again. Written by the curator.

-- name: confirm_document
-- It has been handed in; what its metadata says of its time is written next, where it says anything.
UPDATE document SET confirmed_at = now(), valid_from = NULL, valid_to = NULL, review_at = NULL
 WHERE tenant_id = %(tenant)s AND document_id = %(document)s
RETURNING metadata

-- name: set_validity
UPDATE document SET valid_from = %(valid_from)s, valid_to = %(valid_to)s, review_at = %(review_at)s
 WHERE tenant_id = %(tenant)s AND document_id = %(document)s

-- name: add_versions
WITH before AS (
    UPDATE document_version v SET replaced_at = now()
      FROM unnest(%(documents)s::uuid[], %(versions)s::integer[]) AS n (document_id, version)
     WHERE v.tenant_id = %(tenant)s AND v.document_id = n.document_id AND v.version <> n.version
       AND v.replaced_at IS NULL)
INSERT INTO document_version (tenant_id, document_id, version, content_hash, characters, handed_in_by)
SELECT d.tenant_id, d.document_id, d.version, d.content_hash, d.characters, d.handed_in_by
  FROM document d
 WHERE d.tenant_id = %(tenant)s AND d.document_id = ANY (%(documents)s::uuid[])

-- name: confirm_source
-- What a whole sync has found to be there still. Not more than once an hour for each: it is a row to be written.
UPDATE document SET confirmed_at = now()
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND tombstoned_at IS NULL
   AND confirmed_at < now() - interval '1 hour'

-- name: list_versions
SELECT v.version, v.content_hash, v.characters, v.handed_in_by, v.created_at, v.replaced_at,
       EXISTS (SELECT FROM document_text t WHERE t.tenant_id = v.tenant_id AND t.document_id = v.document_id
                  AND t.version = v.version) AS has_text
  FROM document_version v
 WHERE v.tenant_id = %(tenant)s AND v.document_id = %(document)s
 ORDER BY v.version DESC

-- name: list_readable_versions
-- As the caller.
SELECT version FROM document_version WHERE tenant_id = %(tenant)s AND document_id = %(document)s

-- name: read_version
SELECT content FROM document_text
 WHERE tenant_id = %(tenant)s AND document_id = %(document)s AND version = %(version)s

-- name: list_due
SELECT source_id, name, synced_at, due_at FROM source
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s
   FOR UPDATE

-- name: add_source
-- One that has not been synced yet.
INSERT INTO source (tenant_id, source_id, collection_id, name)
VALUES (%(tenant)s, %(source)s, %(collection)s, %(name)s)
    ON CONFLICT (tenant_id, collection_id, name) DO NOTHING

-- name: set_due
UPDATE source SET due_at = %(due_at)s WHERE tenant_id = %(tenant)s AND source_id = %(source)s

-- name: lock_due
SELECT source_id, collection_id, name, sync_id, due_at, now() AS now FROM source
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s
   FOR UPDATE

-- name: the_time
SELECT now()

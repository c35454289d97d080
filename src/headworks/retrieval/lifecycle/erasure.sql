-- Removing for good: what vanished long enough ago, what is erased on request, and the receipts of both. As the curator.

-- name: begin_holding
-- Whoever removes for good has it shared until it has ended: no hold is placed between its look and its deed.
SELECT pg_advisory_xact_lock(hashtextextended('holds of ' || %(tenant)s::text, 7404917334))

-- name: begin_removing
SELECT pg_advisory_xact_lock_shared(hashtextextended('holds of ' || %(tenant)s::text, 7404917334))

-- name: place_hold
INSERT INTO legal_hold (tenant_id, hold_id, kind, subject_id, reason, placed_by)
VALUES (%(tenant)s, %(hold)s, %(kind)s, %(subject)s, %(reason)s, %(by)s)
    ON CONFLICT (tenant_id, kind, subject_id) DO NOTHING

-- name: release_hold
DELETE FROM legal_hold WHERE tenant_id = %(tenant)s AND hold_id = %(hold)s
RETURNING kind, subject_id, reason, placed_by, placed_at

-- name: list_holds
SELECT hold_id, kind, subject_id, reason, placed_by, placed_at FROM legal_hold WHERE tenant_id = %(tenant)s
 ORDER BY placed_at, hold_id

-- name: find_holds
-- Those that stand in the way of removing these.
SELECT hold_id, kind, reason, placed_at FROM legal_hold
 WHERE tenant_id = %(tenant)s AND subject_id = ANY (%(subjects)s::uuid[])
 ORDER BY placed_at

-- name: keep_originals
-- Of documents that are about to be replaced: where a hold stands on one at the same place, or on their collection.
UPDATE document_version v SET blob_id = d.blob_id
  FROM document d
 WHERE d.tenant_id = %(tenant)s AND d.document_id = ANY (%(documents)s::uuid[]) AND d.blob_id IS NOT NULL
   AND v.tenant_id = d.tenant_id AND v.document_id = d.document_id AND v.version = d.version
   AND EXISTS (SELECT FROM legal_hold h
                WHERE h.tenant_id = d.tenant_id
                  AND (h.subject_id = d.collection_id
                       OR h.subject_id IN (SELECT f.document_id FROM document f
                                            WHERE f.tenant_id = d.tenant_id AND f.collection_id = d.collection_id
                                              AND f.source = d.source AND f.path = d.path)))

-- name: list_kept_originals
SELECT DISTINCT blob_id FROM document_version
 WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[]) AND blob_id IS NOT NULL

-- name: give_up_originals
UPDATE document_version v SET blob_id = NULL
  FROM unnest(%(documents)s::uuid[], %(versions)s::integer[]) AS old (document_id, version)
 WHERE v.tenant_id = %(tenant)s AND v.document_id = old.document_id AND v.version = old.version

-- name: delete_originals
-- That nothing names any more: the same original may have been cut anew.
DELETE FROM blob b
 WHERE b.tenant_id = %(tenant)s AND b.blob_id = ANY (%(blobs)s::uuid[])
   AND NOT EXISTS (SELECT FROM document_version v WHERE v.tenant_id = b.tenant_id AND v.blob_id = b.blob_id)
   AND NOT EXISTS (SELECT FROM document d WHERE d.tenant_id = b.tenant_id AND d.blob_id = b.blob_id)
   AND NOT EXISTS (SELECT FROM ingest_item i WHERE i.tenant_id = b.tenant_id AND i.blob_id = b.blob_id
                      AND i.state IN ('queued', 'failed'))

-- name: list_purgeable
SELECT d.document_id, d.source, d.path, d.part, d.content_hash, d.version, d.blob_id, d.tombstoned_at
  FROM document d
 WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s
   AND d.tombstoned_at <= now() - make_interval(secs => %(keep_s)s)
   AND NOT EXISTS (SELECT FROM legal_hold h
                    WHERE h.tenant_id = d.tenant_id AND h.subject_id IN (d.document_id, d.collection_id))
   AND NOT EXISTS (SELECT FROM document f JOIN legal_hold h ON h.tenant_id = f.tenant_id AND h.subject_id = f.document_id
                    WHERE f.tenant_id = d.tenant_id AND f.collection_id = d.collection_id AND f.source = d.source
                      AND f.path = d.path)   -- a file and its sections, now and as they were cut before
 ORDER BY d.tombstoned_at, d.part_of NULLS LAST, d.document_id  -- sections before their file, which takes them along
 LIMIT %(limit)s

-- name: find_erasable
-- A section is erased with its file, and so is what was there before its sections were cut off.
SELECT d.document_id, d.collection_id, d.source, d.path, d.part, d.content_hash, d.version, d.blob_id, d.tombstoned_at,
       d.handed_in_by
  FROM document d
 WHERE d.tenant_id = %(tenant)s
   AND (d.handed_in_by = %(person)s
        OR (d.collection_id, d.source, d.path) IN (
            SELECT f.collection_id, f.source, f.path FROM document f
             WHERE f.tenant_id = %(tenant)s
               AND (f.document_id = %(document)s OR (f.collection_id = %(collection)s AND f.shown_path = %(path)s))))
 ORDER BY d.collection_id, (d.document_id = %(document)s) DESC, d.part, d.document_id

-- name: list_old_texts
SELECT v.document_id, v.version, v.content_hash, v.blob_id
  FROM document_version v
  JOIN document d ON d.tenant_id = v.tenant_id AND d.document_id = v.document_id
  JOIN document_text t ON t.tenant_id = v.tenant_id AND t.document_id = v.document_id AND t.version = v.version
 WHERE v.tenant_id = %(tenant)s AND d.collection_id = %(collection)s
   AND v.replaced_at <= now() - make_interval(secs => %(keep_s)s)
   AND NOT EXISTS (SELECT FROM legal_hold h
                    WHERE h.tenant_id = d.tenant_id AND h.subject_id IN (d.document_id, d.collection_id))
   AND NOT EXISTS (SELECT FROM document f JOIN legal_hold h ON h.tenant_id = f.tenant_id AND h.subject_id = f.document_id
                    WHERE f.tenant_id = d.tenant_id AND f.collection_id = d.collection_id AND f.source = d.source
                      AND f.path = d.path)   -- of a section: on its file
 ORDER BY v.replaced_at, v.document_id, v.version
 LIMIT %(limit)s

-- name: delete_texts
DELETE FROM document_text t
 USING unnest(%(documents)s::uuid[], %(versions)s::integer[]) AS old (document_id, version)
 WHERE t.tenant_id = %(tenant)s AND t.document_id = old.document_id AND t.version = old.version

-- name: count_rows
SELECT (SELECT count(*) FROM document_text WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])) AS document_text,
       (SELECT count(*) FROM document_version WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])) AS document_version,
       (SELECT count(*) FROM document_reader WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])) AS document_reader,
       (SELECT count(*) FROM embedding WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])) AS embedding,
       (SELECT count(*) FROM chunk WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])) AS chunk,
       (SELECT count(*) FROM blob WHERE tenant_id = %(tenant)s AND blob_id = ANY (%(blobs)s::uuid[])) AS blob

-- name: delete_documents
-- Their texts, versions, chunks, vectors and readers go with them.
DELETE FROM document WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])

-- name: delete_items_of
-- What was handed in at these places, whatever became of it.
DELETE FROM ingest_item i
 USING unnest(%(sources)s::text[], %(paths)s::text[]) AS gone (source, path)
 WHERE i.tenant_id = %(tenant)s AND i.collection_id = %(collection)s AND i.source = gone.source AND i.path = gone.path
   AND (%(everything)s OR i.state <> 'queued')
RETURNING i.blob_id

-- name: delete_old_items
DELETE FROM ingest_item
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state <> 'queued'
   AND finished_at < now() - interval '30 days'
RETURNING blob_id

-- name: add_receipt
INSERT INTO purge_receipt (tenant_id, receipt_id, kind, subject, policy, asked_by, detail)
VALUES (%(tenant)s, %(receipt)s, %(kind)s, %(subject)s, %(policy)s, %(by)s, %(detail)s)
RETURNING at

-- name: list_receipts
SELECT receipt_id, kind, subject, policy, asked_by, at, detail FROM purge_receipt
 WHERE tenant_id = %(tenant)s AND (%(receipt)s::uuid IS NULL OR receipt_id = %(receipt)s)
 ORDER BY at DESC, receipt_id DESC
 LIMIT %(limit)s

-- name: list_with_old
-- Collections in which something has been kept for long enough.
SELECT c.collection_id
  FROM collection c
 WHERE c.tenant_id = %(tenant)s
   AND (EXISTS (SELECT FROM document d
                 WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.collection_id
                   AND d.tombstoned_at <= now() - make_interval(secs => coalesce((c.settings #>> '{freshness,keep_s}')::float8, %(usual_s)s)))
        OR EXISTS (SELECT FROM document_version v
                     JOIN document d ON d.tenant_id = v.tenant_id AND d.document_id = v.document_id
                     JOIN document_text t ON t.tenant_id = v.tenant_id AND t.document_id = v.document_id AND t.version = v.version
                    WHERE v.tenant_id = c.tenant_id AND d.collection_id = c.collection_id
                      AND v.replaced_at <= now() - make_interval(secs => coalesce((c.settings #>> '{freshness,keep_s}')::float8, %(usual_s)s)))
        OR EXISTS (SELECT FROM ingest_item i
                    WHERE i.tenant_id = c.tenant_id AND i.collection_id = c.collection_id AND i.state <> 'queued'
                      AND i.finished_at < now() - interval '31 days'))

-- name: forget_keys
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()), name = ''
 WHERE tenant_id = %(tenant)s AND principal_id = %(person)s

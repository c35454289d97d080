-- What became of what was handed in: failures, deletion by path, and how a collection is. Counts are the curator's.

-- name: list_failed
-- The newest item of each path, where it failed. `everything` false: those of one's own, and of the file's sources.
SELECT i.item_id, i.source, i.path, i.error_code, i.error_message, i.bytes, i.finished_at, i.blob_id IS NOT NULL AS has_original
  FROM ingest_item i
 WHERE i.tenant_id = %(tenant)s AND i.collection_id = %(collection)s AND i.state = 'failed'
   AND (%(everything)s OR i.handed_in_by = %(by)s OR starts_with(i.source, 'source:'))
   AND (%(codes)s::text[] IS NULL OR i.error_code = ANY (%(codes)s::text[]))
   AND (%(paths)s::text[] IS NULL OR i.path = ANY (%(paths)s::text[]))
   AND NOT EXISTS (SELECT FROM ingest_item n
                    WHERE n.tenant_id = i.tenant_id AND n.collection_id = i.collection_id AND n.source = i.source
                      AND n.path = i.path AND (n.created_at, n.item_id) > (i.created_at, i.item_id))
 ORDER BY i.path, i.source
 LIMIT %(limit)s

-- name: queue_again
UPDATE ingest_item
   SET state = 'queued', attempts = 0, error_code = NULL, error_message = NULL, finished_at = NULL
 WHERE tenant_id = %(tenant)s AND item_id = ANY (%(items)s::uuid[]) AND state = 'failed' AND blob_id IS NOT NULL

-- name: list_readable
-- As who asks: which documents at these paths he may read.
SELECT document_id FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND tombstoned_at IS NULL AND part = ''
   AND path = ANY (%(paths)s::text[])

-- name: tombstone_paths
-- Of others only what who asks may read, unless he may do `everything`; sections follow their file.
UPDATE document SET tombstoned_at = now()
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND tombstoned_at IS NULL AND part = ''
   AND path = ANY (%(paths)s::text[])
   AND (%(everything)s OR handed_in_by = %(by)s OR document_id = ANY (%(readable)s::uuid[]))
   AND CASE WHEN %(source)s::text IS NULL THEN NOT starts_with(source, %(configured)s) ELSE source = %(source)s::text END
RETURNING path

-- name: supersede_paths
UPDATE ingest_item i SET state = 'superseded', finished_at = now()
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state IN ('queued', 'failed')
   AND path = ANY (%(paths)s::text[])
   AND (%(everything)s OR handed_in_by = %(by)s
        OR EXISTS (SELECT FROM document d
                    WHERE d.tenant_id = i.tenant_id AND d.collection_id = i.collection_id AND d.source = i.source
                      AND d.path = i.path AND d.document_id = ANY (%(readable)s::uuid[])))
   AND CASE WHEN %(source)s::text IS NULL THEN NOT starts_with(source, %(configured)s) ELSE source = %(source)s::text END
RETURNING path, blob_id

-- name: find_readable
SELECT d.document_id, d.version, c.name AS collection, d.shown_path AS path
  FROM document d JOIN collection c ON c.tenant_id = d.tenant_id AND c.collection_id = d.collection_id
 WHERE d.tenant_id = %(tenant)s AND (d.document_id = %(document)s OR (c.name = %(collection)s AND d.shown_path = %(path)s))
 ORDER BY d.tombstoned_at NULLS FIRST, d.source
 LIMIT 1

-- ── Health ──

-- name: count_queue
SELECT count(*) AS queued, min(created_at) AS oldest_at, now() AS now FROM ingest_item
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state = 'queued'

-- name: count_failed
SELECT i.error_code AS code, count(*) AS number
  FROM ingest_item i
 WHERE i.tenant_id = %(tenant)s AND i.collection_id = %(collection)s AND i.state = 'failed'
   AND NOT EXISTS (SELECT FROM ingest_item n
                    WHERE n.tenant_id = i.tenant_id AND n.collection_id = i.collection_id AND n.source = i.source
                      AND n.path = i.path AND (n.created_at, n.item_id) > (i.created_at, i.item_id))
 GROUP BY 1 ORDER BY 2 DESC, 1

-- name: count_documents
SELECT count(*) FILTER (WHERE tombstoned_at IS NULL) AS documents,
       count(*) FILTER (WHERE tombstoned_at IS NOT NULL) AS vanished,
       count(*) FILTER (WHERE tombstoned_at <= now() - make_interval(secs => %(keep_s)s)) AS purgeable,
       count(*) FILTER (WHERE tombstoned_at IS NULL AND valid_from > now()) AS not_yet_valid,
       count(*) FILTER (WHERE tombstoned_at IS NULL AND valid_to <= now()) AS expired,
       count(*) FILTER (WHERE tombstoned_at IS NULL AND review_at <= now()) AS review_due,
       count(*) FILTER (WHERE tombstoned_at IS NULL
                          AND NOT EXISTS (SELECT FROM document_text t WHERE t.tenant_id = d.tenant_id
                                             AND t.document_id = d.document_id AND t.version = d.version)) AS without_text,
       count(*) FILTER (WHERE tombstoned_at IS NULL AND characters > 0
                          AND NOT EXISTS (SELECT FROM chunk c WHERE c.tenant_id = d.tenant_id AND c.document_id = d.document_id
                                             AND c.generation_id = %(generation)s)) AS without_chunks
  FROM document d
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s

-- name: count_by_source
SELECT source, count(*) AS documents, count(*) FILTER (WHERE confirmed_at < now() - make_interval(secs => %(stale_s)s)) AS stale
  FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND tombstoned_at IS NULL
 GROUP BY source

-- name: list_document_sources
SELECT DISTINCT source FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND tombstoned_at IS NULL

-- name: count_index
SELECT (SELECT count(*) FROM chunk k WHERE k.tenant_id = %(tenant)s AND k.generation_id = %(generation)s) AS chunks,
       (SELECT coalesce(sum(s.chunks), 0) FROM posting_segment s WHERE s.tenant_id = %(tenant)s
           AND s.collection_id = %(collection)s AND s.generation_id = %(generation)s)::bigint AS in_segments,
       (SELECT count(*) FROM posting_segment s WHERE s.tenant_id = %(tenant)s AND s.collection_id = %(collection)s
           AND s.generation_id = %(generation)s) AS segments,
       (SELECT count(*) FROM generation g WHERE g.tenant_id = %(tenant)s AND g.collection_id = %(collection)s
           AND g.generation_id <> %(generation)s) AS pending_generations

-- name: count_orphaned_blobs
-- Of the tenant: originals that neither a document nor an item nor a version under a legal hold names.
SELECT count(DISTINCT b.blob_id) FROM blob b
 WHERE b.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM document d WHERE d.tenant_id = b.tenant_id AND d.blob_id = b.blob_id)
   AND NOT EXISTS (SELECT FROM ingest_item i WHERE i.tenant_id = b.tenant_id AND i.blob_id = b.blob_id)
   AND NOT EXISTS (SELECT FROM document_version v WHERE v.tenant_id = b.tenant_id AND v.blob_id = b.blob_id)

-- name: list_some_texts
-- Others each day.
SELECT t.document_id, t.version, t.content
  FROM document_text t JOIN document d ON d.tenant_id = t.tenant_id AND d.document_id = t.document_id AND d.version = t.version
 WHERE t.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND d.tombstoned_at IS NULL
 ORDER BY md5(t.document_id::text || current_date::text)
 LIMIT %(limit)s

-- name: list_sources
SELECT source_id, name, phase, sync_id IS NOT NULL AS is_under_way, error_code, error_message, carries_permissions,
       readable_until, synced_at, due_at
  FROM source WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s ORDER BY name

-- ── Lanes of durable work ──

-- name: list_lanes
SELECT c.collection_id, c.name, s.source_id, s.name AS source
  FROM collection c LEFT JOIN source s ON s.tenant_id = c.tenant_id AND s.collection_id = c.collection_id
 WHERE c.tenant_id = %(tenant)s

-- name: find_sync_progress
SELECT phase, looked_at, expected, sync_id IS NOT NULL AS is_under_way FROM source
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s

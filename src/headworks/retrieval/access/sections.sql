-- Sections with readers of their own: documents that live and die with the file that they were cut off. As the curator.

-- name: put_part
INSERT INTO document AS d (tenant_id, document_id, collection_id, source, path, part, part_of, cut_by, title, media_type,
                           content_hash, version, restricted, file_restricted, own_metadata, given_metadata, readers_from,
                           handed_in_by, characters, confirmed_at, valid_from, valid_to, review_at)
SELECT f.tenant_id, %(document)s, f.collection_id, f.source, f.path, %(part)s, f.document_id, %(rule)s, %(title)s,
       f.media_type, f.content_hash, 1, true, f.restricted, f.own_metadata, f.given_metadata, f.readers_from,
       f.handed_in_by, %(characters)s, f.confirmed_at, f.valid_from, f.valid_to, f.review_at
  FROM document f
 WHERE f.tenant_id = %(tenant)s AND f.document_id = %(file)s
    ON CONFLICT (tenant_id, collection_id, source, path, part) DO UPDATE
   SET cut_by = excluded.cut_by, title = excluded.title, media_type = excluded.media_type,
       content_hash = excluded.content_hash, version = d.version + 1, file_restricted = excluded.file_restricted,
       own_metadata = excluded.own_metadata, given_metadata = excluded.given_metadata,
       readers_from = excluded.readers_from, handed_in_by = excluded.handed_in_by, characters = excluded.characters,
       confirmed_at = excluded.confirmed_at, valid_from = excluded.valid_from, valid_to = excluded.valid_to,
       review_at = excluded.review_at, updated_at = now(), tombstoned_at = NULL
RETURNING document_id, version

-- name: tombstone_parts
-- Those that the file no longer has.
UPDATE document SET tombstoned_at = now()
 WHERE tenant_id = %(tenant)s AND part_of = %(file)s AND tombstoned_at IS NULL AND NOT part = ANY (%(parts)s::text[])

-- name: list_files
-- Also those that vanished: they may come back. What was cut otherwise before is none.
SELECT document_id, path, tombstoned_at IS NOT NULL AS is_gone FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND part = ''

-- name: retire
-- What is cut otherwise from now on vanishes under its id, with all that quotes it; no heading begins with a new line.
UPDATE document
   SET part = E'\n' || document_id, tombstoned_at = coalesce(tombstoned_at, now())
 WHERE tenant_id = %(tenant)s AND (document_id = ANY (%(documents)s::uuid[]) OR part_of = ANY (%(documents)s::uuid[]))

-- name: begin_anew
-- In its place a document without a word, and without what its file says of itself, but with all that was said of it.
INSERT INTO document (tenant_id, document_id, collection_id, source, path, title, media_type, content_hash, version,
                      restricted, given_readers, given_denials, given_metadata, readers_from, handed_in_by, characters,
                      created_at, confirmed_at, valid_from, valid_to, review_at)
SELECT d.tenant_id, n.document_id, d.collection_id, d.source, d.path, d.path, d.media_type, '', 0,
       true, d.given_readers, d.given_denials, d.given_metadata, d.readers_from, d.handed_in_by, 0,
       d.created_at, d.confirmed_at, d.valid_from, d.valid_to, d.review_at
  FROM unnest(%(documents)s::uuid[], %(anew)s::uuid[]) AS n (before, document_id)
  JOIN document d ON d.tenant_id = %(tenant)s AND d.document_id = n.before

-- name: hold_anew
INSERT INTO legal_hold (tenant_id, hold_id, kind, subject_id, reason, placed_by, placed_at)
SELECT h.tenant_id, gen_random_uuid(), h.kind, n.document_id, h.reason, h.placed_by, h.placed_at
  FROM unnest(%(documents)s::uuid[], %(anew)s::uuid[]) AS n (before, document_id)
  JOIN legal_hold h ON h.tenant_id = %(tenant)s AND h.subject_id = n.before
    ON CONFLICT DO NOTHING

-- name: queue_originals
-- Older than whatever waits already: that is newer than what they bring.
INSERT INTO ingest_item (tenant_id, item_id, collection_id, source, path, media_type, content_hash, bytes, blob_id,
                         handed_in_by, created_at)
SELECT d.tenant_id, n.item_id, d.collection_id, d.source, d.path, d.media_type, d.content_hash,
       (SELECT coalesce(sum(octet_length(b.content)), 0) FROM blob b
         WHERE b.tenant_id = d.tenant_id AND b.blob_id = d.blob_id),
       d.blob_id, d.handed_in_by,
       least(d.updated_at, (SELECT min(i.created_at) - interval '1 microsecond' FROM ingest_item i
                             WHERE i.tenant_id = d.tenant_id AND i.collection_id = d.collection_id
                               AND i.source = d.source AND i.path = d.path AND i.state = 'queued'))
  FROM unnest(%(documents)s::uuid[], %(items)s::uuid[]) AS n (before, item_id)
  JOIN document d ON d.tenant_id = %(tenant)s AND d.document_id = n.before AND d.blob_id IS NOT NULL

-- name: give_original_away
UPDATE document SET blob_id = NULL WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])

-- name: list_used
SELECT DISTINCT cut_by FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND part_of IS NOT NULL AND tombstoned_at IS NULL

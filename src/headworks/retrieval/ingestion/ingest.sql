-- Handing in, working on what was handed in, and the index. Writes to documents are the curator's.

-- ── Handing in ──

-- name: join_wave
-- Held until the item is committed: the run of this wave closes it first, so it sees every item that joined.
SELECT wave FROM collection WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s FOR SHARE

-- name: add_item
-- As old as its place in the wave: not as its transaction, which others may have overtaken.
INSERT INTO ingest_item (tenant_id, item_id, sync_id, collection_id, source, path, media_type, content_hash, bytes,
                         blob_id, readers, denials, metadata, said, handed_in_by, created_at)
VALUES (%(tenant)s, %(item)s, %(sync)s, %(collection)s, %(source)s, %(path)s, %(media_type)s, %(content_hash)s,
        %(bytes)s, %(blob)s, %(readers)s::uuid[], %(denials)s::uuid[], %(metadata)s::jsonb, %(said)s, %(by)s,
        clock_timestamp())

-- name: lock_key
SELECT pg_advisory_xact_lock(hashtextextended(%(item)s::text, 7404917334))

-- name: find_item
SELECT path, said, state FROM ingest_item WHERE tenant_id = %(tenant)s AND item_id = %(item)s

-- name: close_wave
UPDATE collection SET wave = wave + 1
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND wave = %(wave)s

-- ── Syncs ──

-- name: add_sync
INSERT INTO sync (tenant_id, sync_id, collection_id, source, started_by)
VALUES (%(tenant)s, %(sync)s, %(collection)s, %(source)s, %(by)s)

-- name: find_sync
SELECT s.sync_id, s.collection_id, s.source, c.name AS collection, s.finished_at
  FROM sync s JOIN collection c ON c.tenant_id = s.tenant_id AND c.collection_id = s.collection_id
 WHERE s.tenant_id = %(tenant)s AND s.sync_id = %(sync)s

-- name: list_known
-- As the caller: what it may read. As the curator: what this principal handed in, which it knows anyway.
SELECT path, content_hash
  FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND tombstoned_at IS NULL
   AND part = ''
   AND (%(by)s::uuid IS NULL OR handed_in_by = %(by)s)

-- name: list_waiting
SELECT path, content_hash FROM ingest_item
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND state = 'queued'
 ORDER BY created_at, item_id

-- name: supersede_unseen
-- A file that is gone must not come back from the queue.
UPDATE ingest_item SET state = 'superseded', finished_at = now()
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND state = 'queued'
   AND NOT path = ANY (%(seen)s::text[])
RETURNING blob_id

-- name: forget_failed_unseen
-- Nobody can try again what is gone from its source.
WITH gone AS (
    SELECT tenant_id, item_id, blob_id FROM ingest_item
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND state = 'failed'
       AND blob_id IS NOT NULL AND NOT path = ANY (%(seen)s::text[]))
UPDATE ingest_item i SET blob_id = NULL
  FROM gone g
 WHERE i.tenant_id = g.tenant_id AND i.item_id = g.item_id
RETURNING g.blob_id

-- name: tombstone_unseen
UPDATE document SET tombstoned_at = now()
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND tombstoned_at IS NULL
   AND NOT path = ANY (%(seen)s::text[])

-- name: finish_sync
UPDATE sync SET finished_at = coalesce(finished_at, now()) WHERE tenant_id = %(tenant)s AND sync_id = %(sync)s

-- name: count_items
-- `whole`: a source, of which also what waits since an earlier sync is meant.
SELECT count(*) AS total, count(*) FILTER (WHERE state <> 'queued') AS done,
       count(*) FILTER (WHERE state IN ('done', 'unchanged')) AS documents,
       coalesce(sum(chunks) FILTER (WHERE state IN ('done', 'unchanged')), 0) AS chunks
  FROM ingest_item
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s
   AND (%(sync)s::uuid IS NULL OR sync_id = %(sync)s OR (source = %(whole)s::text AND state = 'queued'))

-- name: list_failures
SELECT path, error_code, error_message
  FROM ingest_item i
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state = 'failed'
   AND (%(sync)s::uuid IS NULL OR sync_id = %(sync)s)
   AND NOT EXISTS (SELECT FROM ingest_item n
                    WHERE n.tenant_id = i.tenant_id AND n.collection_id = i.collection_id AND n.source = i.source
                      AND n.path = i.path AND (n.created_at, n.item_id) > (i.created_at, i.item_id)
                      AND (%(sync)s::uuid IS NULL OR n.sync_id = %(sync)s))
 ORDER BY path
 LIMIT 1000

-- name: count_documents
-- As `list_known`, in numbers; chunks of sections count to their file.
SELECT count(*) FILTER (WHERE d.part = '') AS documents,
       coalesce(sum((SELECT count(*) FROM chunk c WHERE c.tenant_id = d.tenant_id AND c.document_id = d.document_id
                        AND c.generation_id = %(generation)s)), 0)::bigint AS chunks
  FROM document d
 WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND d.tombstoned_at IS NULL
   AND d.source = %(source)s
   AND (%(by)s::uuid IS NULL OR d.handed_in_by = %(by)s)

-- ── Working on items ──

-- name: supersede_older
-- Of the oldest ones, which are the next to be taken: a queue of 100,000 is not looked through for each batch. Where the
-- planner knows nothing of the queue yet, because all of it came a moment ago, it is read once, and not for each of them.
WITH head AS MATERIALIZED (
    SELECT item_id, source, path, created_at FROM ingest_item
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state = 'queued'
     ORDER BY created_at, item_id
     LIMIT %(number)s),
same AS MATERIALIZED (
    SELECT item_id, source, path, created_at FROM ingest_item
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state = 'queued'
       AND source = ANY (ARRAY(SELECT DISTINCT source FROM head)) AND path = ANY (ARRAY(SELECT DISTINCT path FROM head))),
older AS MATERIALIZED (
    SELECT h.item_id FROM head h
     WHERE EXISTS (SELECT FROM same n
                    WHERE n.source = h.source AND n.path = h.path
                      AND (n.created_at, n.item_id) > (h.created_at, h.item_id)))
UPDATE ingest_item i SET state = 'superseded', finished_at = now()
 WHERE i.tenant_id = %(tenant)s AND i.item_id = ANY (ARRAY(SELECT item_id FROM older)) AND i.state = 'queued'
RETURNING source, path, blob_id, created_at, readers, denials, metadata

-- name: inherit
-- What was said of a file with an older content holds for the next one, unless it says something else.
UPDATE ingest_item
   SET readers = coalesce(readers, %(readers)s::uuid[]), denials = coalesce(denials, %(denials)s::uuid[]),
       metadata = coalesce(metadata, %(metadata)s::jsonb)
 WHERE tenant_id = %(tenant)s
   AND item_id = (SELECT item_id FROM ingest_item
                   WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s
                     AND path = %(path)s AND state = 'queued'
                   ORDER BY created_at, item_id LIMIT 1)

-- name: supersede_older_than
-- What was queued again while a newer content was worked on (an original that is to be cut anew, a failure that is tried
-- again) is older all the same.
WITH written AS MATERIALIZED (
    SELECT source, path, created_at, item_id FROM ingest_item
     WHERE tenant_id = %(tenant)s AND item_id = ANY (%(items)s::uuid[])),
same AS MATERIALIZED (
    SELECT item_id, source, path, created_at FROM ingest_item
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state = 'queued'
       AND source = ANY (ARRAY(SELECT DISTINCT source FROM written))
       AND path = ANY (ARRAY(SELECT DISTINCT path FROM written))),
older AS MATERIALIZED (
    SELECT o.item_id
      FROM written w
      JOIN same o ON o.source = w.source AND o.path = w.path AND (o.created_at, o.item_id) < (w.created_at, w.item_id))
UPDATE ingest_item i SET state = 'superseded', finished_at = now()
 WHERE i.tenant_id = %(tenant)s AND i.item_id = ANY (ARRAY(SELECT item_id FROM older)) AND i.state = 'queued'
RETURNING i.blob_id

-- name: take_items
-- The oldest ones, up to a number and a size, and more than a few only of small ones; one by one as soon as one of them
-- was taken up more than twice.
WITH oldest AS MATERIALIZED (
    SELECT item_id, attempts, bytes, created_at
      FROM ingest_item
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state = 'queued'
     ORDER BY created_at, item_id
     LIMIT %(number)s),
head AS (
    SELECT item_id, attempts, row_number() OVER w AS place, sum(bytes) OVER w - bytes AS bytes_before
      FROM oldest
    WINDOW w AS (ORDER BY created_at, item_id))
UPDATE ingest_item i SET attempts = i.attempts + 1
  FROM head h
 WHERE i.tenant_id = %(tenant)s AND i.item_id = h.item_id
   AND (h.place = 1 OR (h.bytes_before < %(bytes)s AND (h.place <= %(few)s OR h.bytes_before < %(little)s)
                        AND (SELECT max(attempts) FROM head) < 2))
RETURNING i.item_id, i.source, i.path, i.media_type, i.content_hash, i.bytes, i.blob_id, i.readers, i.denials, i.metadata,
          i.attempts, i.handed_in_by, i.created_at

-- name: lock_items
-- Those that are still to be done: another run, or a sync that no longer saw them, may have been faster; a sync may also
-- have learnt of other readers.
SELECT item_id, readers, denials, metadata FROM ingest_item
 WHERE tenant_id = %(tenant)s AND item_id = ANY (%(items)s::uuid[]) AND state = 'queued'
   FOR UPDATE

-- name: give_back
-- Nothing was wrong with them: rules have changed meanwhile.
UPDATE ingest_item SET attempts = greatest(0, attempts - 1)
 WHERE tenant_id = %(tenant)s AND item_id = ANY (%(items)s::uuid[]) AND state = 'queued'

-- name: settle_items
UPDATE ingest_item i
   SET state = s.state, chunks = s.chunks, error_code = s.code, error_message = s.message, finished_at = now()
  FROM unnest(%(items)s::uuid[], %(states)s::text[], %(chunks)s::integer[], %(codes)s::text[], %(messages)s::text[])
       AS s (item_id, state, chunks, code, message)
 WHERE i.tenant_id = %(tenant)s AND i.item_id = s.item_id

-- name: forget_failed
-- The originals of older items of the same paths that failed: newer ones have been worked on.
WITH done AS MATERIALIZED (
    SELECT source, path, created_at, item_id FROM ingest_item
     WHERE tenant_id = %(tenant)s AND item_id = ANY (%(items)s::uuid[])),
gone AS MATERIALIZED (
    SELECT o.item_id, o.blob_id
      FROM done d
      JOIN ingest_item o ON o.tenant_id = %(tenant)s AND o.collection_id = %(collection)s AND o.path = d.path
                        AND o.source = d.source AND o.state = 'failed' AND o.blob_id IS NOT NULL
                        AND (o.created_at, o.item_id) < (d.created_at, d.item_id))
UPDATE ingest_item i SET blob_id = NULL
  FROM gone g
 WHERE i.tenant_id = %(tenant)s AND i.item_id = g.item_id
RETURNING g.blob_id

-- name: find_by_paths
SELECT d.source, d.path, d.document_id, d.content_hash, d.given_readers, d.blob_id, d.tombstoned_at IS NOT NULL AS is_gone,
       (SELECT count(*) FROM chunk c WHERE c.tenant_id = d.tenant_id AND c.document_id = d.document_id
           AND c.generation_id = %(generation)s)
       + (SELECT count(*) FROM chunk c JOIN document p ON p.tenant_id = c.tenant_id AND p.document_id = c.document_id
           WHERE p.tenant_id = d.tenant_id AND p.part_of = d.document_id AND c.generation_id = %(generation)s) AS chunks
  FROM unnest(%(sources)s::text[], %(paths)s::text[]) AS wanted (source, path)
  JOIN document d ON d.source = wanted.source AND d.path = wanted.path
 WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND d.part = ''

-- name: put_document
-- What its metadata says of its time is written next, where it says anything.
INSERT INTO document AS d (tenant_id, document_id, collection_id, source, path, title, media_type, content_hash, version,
                           restricted, given_readers, own_metadata, given_metadata, readers_from, handed_in_by, characters,
                           blob_id)
VALUES (%(tenant)s, %(document)s, %(collection)s, %(source)s, %(path)s, %(title)s, %(media_type)s, %(content_hash)s, 1,
        %(restricted)s, %(given)s::uuid[], %(own_metadata)s, %(metadata)s::jsonb,
        (SELECT s.source_id FROM source s WHERE s.tenant_id = %(tenant)s AND s.collection_id = %(collection)s
            AND s.name = %(source)s AND s.carries_permissions),
        %(by)s, %(characters)s, %(blob)s)
    ON CONFLICT (tenant_id, collection_id, source, path, part) DO UPDATE
   SET title = excluded.title, media_type = excluded.media_type, content_hash = excluded.content_hash,
       version = d.version + 1, restricted = excluded.restricted, given_readers = excluded.given_readers,
       own_metadata = excluded.own_metadata,
       given_denials = CASE WHEN d.tombstoned_at IS NULL THEN d.given_denials ELSE '{}' END,
       given_metadata = CASE WHEN d.tombstoned_at IS NULL THEN coalesce(excluded.given_metadata, d.given_metadata)
                             ELSE excluded.given_metadata END,
       readers_from = excluded.readers_from,
       handed_in_by = excluded.handed_in_by, characters = excluded.characters, blob_id = excluded.blob_id,
       updated_at = now(), confirmed_at = now(), valid_from = NULL, valid_to = NULL, review_at = NULL,
       tombstoned_at = NULL
RETURNING document_id, version, metadata

-- name: keep_document
-- The same content again: readers and who knows of it may be new.
UPDATE document
   SET restricted = %(restricted)s, given_readers = %(given)s::uuid[], handed_in_by = %(by)s,
       given_metadata = coalesce(%(metadata)s::jsonb, given_metadata)
 WHERE tenant_id = %(tenant)s AND document_id = %(document)s

-- name: put_text
INSERT INTO document_text (tenant_id, document_id, version, content)
VALUES (%(tenant)s, %(document)s, %(version)s, %(content)s)

-- name: delete_chunks
DELETE FROM chunk WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])

-- ── The index ──

-- name: next_chunk_ids
SELECT nextval('headworks.chunk_chunk_id_seq') AS chunk_id FROM generate_series(1, %(number)s)

-- name: add_chunks
INSERT INTO chunk (tenant_id, chunk_id, collection_id, generation_id, document_id, ordinal, start_offset, end_offset, content)
SELECT %(tenant)s, c.chunk_id, %(collection)s, %(generation)s, c.document_id, c.ordinal, c.start_offset, c.end_offset, c.content
  FROM unnest(%(chunks)s::bigint[], %(documents)s::uuid[], %(ordinals)s::integer[], %(starts)s::integer[],
              %(ends)s::integer[], %(contents)s::bytea[])
       AS c (chunk_id, document_id, ordinal, start_offset, end_offset, content)

-- name: add_vectors
-- Of chunks that are still there; vectors of another size than the generation's are left out, and stay missing. Chunks are
-- looked up by their ids: a generation that the planner knows nothing of yet seems to have one, and would be gone through
-- whole for each vector.
WITH given AS (
    SELECT v.chunk_id, v.vector::halfvec AS vector
      FROM unnest(%(chunks)s::bigint[], %(vectors)s::text[]) AS v (chunk_id, vector)),
added AS (
    INSERT INTO embedding (tenant_id, generation_id, chunk_id, document_id, vector)
    SELECT %(tenant)s, %(generation)s, c.chunk_id, c.document_id, v.vector
      FROM given v
     CROSS JOIN LATERAL (SELECT generation_id, chunk_id, document_id FROM chunk
                          WHERE tenant_id = %(tenant)s AND chunk_id = v.chunk_id OFFSET 0) c
      JOIN generation g ON g.tenant_id = %(tenant)s AND g.generation_id = %(generation)s
                       AND g.dimension = vector_dims(v.vector)
     WHERE c.generation_id = %(generation)s
        ON CONFLICT DO NOTHING
    RETURNING chunk_id)
UPDATE generation SET vectors = vectors + (SELECT count(*) FROM added), trouble = NULL
 WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s

-- name: add_segment
INSERT INTO posting_segment (tenant_id, collection_id, generation_id, chunks, total_length)
VALUES (%(tenant)s, %(collection)s, %(generation)s, %(chunks)s, %(total_length)s)
RETURNING segment_id

-- name: add_postings
INSERT INTO posting (tenant_id, collection_id, term, segment_id, block)
SELECT %(tenant)s, %(collection)s, p.term, %(segment)s, p.block
  FROM unnest(%(terms)s::text[], %(blocks)s::bytea[]) AS p (term, block)

-- name: note_languages
-- What a question is to be asked in.
UPDATE generation g
   SET languages = (SELECT array_agg(DISTINCT l ORDER BY l) FROM unnest(g.languages || %(languages)s::text[]) AS l)
 WHERE g.tenant_id = %(tenant)s AND g.generation_id = %(generation)s AND NOT g.languages @> %(languages)s::text[]

-- name: list_segments
SELECT segment_id, chunks FROM posting_segment
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND generation_id = %(generation)s
 ORDER BY segment_id

-- name: list_next_blocks
-- Of the next terms, up to a number and a size: all blocks of each, those of the oldest segment first. Looked up term by
-- term, whatever the planner believes of a table that has just been filled.
WITH head AS MATERIALIZED (
    SELECT term, octet_length(block) AS bytes FROM posting
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND term > %(after)s
       AND segment_id = ANY (%(segments)s::bigint[])
     ORDER BY term
     LIMIT %(limit)s),
sized AS MATERIALIZED (
    SELECT term, sum(sum(bytes)) OVER (ORDER BY term) - sum(bytes) AS bytes_before FROM head GROUP BY term)
SELECT s.term, p.block
  FROM sized s
 CROSS JOIN LATERAL (
    SELECT segment_id, block FROM posting
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND term = s.term
       AND segment_id = ANY (%(segments)s::bigint[])
     OFFSET 0) p
 WHERE s.bytes_before < %(bytes)s
 ORDER BY s.term, p.segment_id

-- name: set_segment
UPDATE posting_segment SET chunks = %(chunks)s, total_length = %(total_length)s
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND segment_id = %(segment)s

-- name: delete_segments
WITH postings AS (
    DELETE FROM posting
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND segment_id = ANY (%(segments)s::bigint[]))
DELETE FROM posting_segment
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND segment_id = ANY (%(segments)s::bigint[])

-- name: pack_chunk_ids
-- Eight bytes each, the most significant first: a million of them are 8 MB.
SELECT string_agg(int8send(chunk_id), ''::bytea) FROM chunk
 WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s

-- name: count_chunks
SELECT count(*) FROM chunk WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s

-- name: list_without_vector
SELECT c.chunk_id, c.content
  FROM chunk c
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s
   AND NOT EXISTS (SELECT FROM embedding e WHERE e.tenant_id = c.tenant_id AND e.chunk_id = c.chunk_id
                      AND e.generation_id = c.generation_id)
 ORDER BY c.chunk_id
 LIMIT %(limit)s

-- name: count_without_vector
SELECT count(*) FROM chunk c
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s
   AND NOT EXISTS (SELECT FROM embedding e WHERE e.tenant_id = c.tenant_id AND e.chunk_id = c.chunk_id
                      AND e.generation_id = c.generation_id)

-- name: note_vectors
-- Whether any chunk of the live generation still waits.
UPDATE collection c
   SET epoch = epoch + 1,
       lacks_vectors = EXISTS (
           SELECT FROM chunk k
            WHERE k.tenant_id = c.tenant_id AND k.generation_id = c.generation_id
              AND NOT EXISTS (SELECT FROM embedding e WHERE e.tenant_id = k.tenant_id AND e.chunk_id = k.chunk_id
                                 AND e.generation_id = k.generation_id))
 WHERE c.tenant_id = %(tenant)s AND c.collection_id = %(collection)s
RETURNING lacks_vectors

-- name: list_not_in_generation
-- The first ones, up to a number and a length of their texts.
WITH head AS (
    SELECT d.document_id, d.version, d.title, d.media_type, d.content_hash, d.characters
      FROM document d
     WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND d.tombstoned_at IS NULL
       AND d.characters > 0
       AND EXISTS (SELECT FROM document_text t WHERE t.tenant_id = d.tenant_id AND t.document_id = d.document_id
                      AND t.version = d.version)
       AND NOT EXISTS (SELECT FROM chunk c WHERE c.tenant_id = d.tenant_id AND c.document_id = d.document_id
                          AND c.generation_id = %(generation)s)
     ORDER BY d.document_id
     LIMIT %(limit)s),
sized AS (
    SELECT h.*, sum(h.characters) OVER (ORDER BY h.document_id) - h.characters AS characters_before FROM head h)
SELECT s.document_id, s.version, s.title, s.media_type, s.content_hash, t.content
  FROM sized s
  JOIN document_text t ON t.tenant_id = %(tenant)s AND t.document_id = s.document_id AND t.version = s.version
 WHERE s.characters_before < %(characters)s
 ORDER BY s.document_id

-- name: list_fillable
SELECT d.document_id, d.version
  FROM document d
 WHERE d.tenant_id = %(tenant)s AND d.document_id = ANY (%(documents)s::uuid[]) AND d.tombstoned_at IS NULL
   AND NOT EXISTS (SELECT FROM chunk c WHERE c.tenant_id = d.tenant_id AND c.document_id = d.document_id
                      AND c.generation_id = %(generation)s)

-- ── Tidying ──

-- name: delete_blobs
-- But for those that a legal hold keeps.
DELETE FROM blob b
 WHERE b.tenant_id = %(tenant)s AND b.blob_id = ANY (%(blobs)s::uuid[])
   AND NOT EXISTS (SELECT FROM document_version v WHERE v.tenant_id = b.tenant_id AND v.blob_id = b.blob_id)

-- name: is_waiting
SELECT EXISTS (SELECT FROM ingest_item WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND state = 'queued')

-- name: list_all_collections
-- As hw_system, at start: where something may have been left.
SELECT tenant_id, collection_id, lacks_vectors FROM collection

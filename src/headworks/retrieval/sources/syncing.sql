-- Sources that a collection's file configures, and their syncs. Written by the curator, each step fenced by `step`.

-- name: put_source
-- Ask for a sync: one that is under way goes on. Nothing has been read yet from a new source, so what comes of its first
-- sync has readers that are as new as the sync. `confirms`: what a sync that held back found gone may go.
INSERT INTO source (tenant_id, source_id, collection_id, name, sync_id, chain, phase)
VALUES (%(tenant)s, %(source)s, %(collection)s, %(name)s, %(sync)s, %(chain)s, 'changes')
    ON CONFLICT (tenant_id, collection_id, name) DO UPDATE
   SET chain = excluded.chain, sync_id = coalesce(source.sync_id, excluded.sync_id),
       phase = CASE WHEN source.sync_id IS NULL THEN 'changes' ELSE source.phase END,
       looked_at = CASE WHEN source.sync_id IS NULL THEN 0 ELSE source.looked_at END,
       confirmed = (source.sync_id IS NOT NULL AND source.confirmed)
                   OR (%(confirms)s AND source.held_back IS NOT NULL),
       error_code = NULL, error_message = NULL
RETURNING source_id, sync_id

-- name: hide_told
-- Its ids stand for others of ours: what it told hides until a sync has told it anew, and one under way reads anew.
UPDATE source
   SET readable_until = now(), step = step + 1, phase = CASE WHEN sync_id IS NULL THEN phase ELSE 'changes' END
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND name = %(name)s

-- name: end_removed
-- The file no longer has it: a sync under way is over.
WITH over AS (
    UPDATE sync y SET finished_at = now()
      FROM source s
     WHERE s.tenant_id = %(tenant)s AND s.collection_id = %(collection)s AND s.name = %(name)s
       AND y.tenant_id = s.tenant_id AND y.sync_id = s.sync_id)
UPDATE source
   SET sync_id = NULL, phase = 'done', step = step + 1, confirmed = false, held_back = NULL, error_code = NULL,
       error_message = NULL
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND name = %(name)s

-- name: is_under_way
-- Held until what a step has handed in is committed: whoever ends the sync, or lets it read anew, sees that.
SELECT true FROM source
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s AND sync_id = %(sync)s AND step = %(step)s
   FOR SHARE

-- name: list_under_way
-- As the curator, at start: whose runs may be gone.
SELECT source_id, name FROM source WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND sync_id IS NOT NULL

-- name: find_source
SELECT source_id, collection_id, name, sync_id, chain, phase, step, state, looked_at, expected, readable_until,
       held_back, confirmed
  FROM source WHERE tenant_id = %(tenant)s AND source_id = %(source)s

-- name: lock_source
SELECT source_id, collection_id, name, sync_id, chain, phase, step, state, looked_at, expected, readable_until,
       held_back, confirmed
  FROM source WHERE tenant_id = %(tenant)s AND source_id = %(source)s
   FOR UPDATE

-- name: note_end
UPDATE source SET error_code = %(code)s, error_message = %(message)s
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s

-- name: list_sources
SELECT source_id, name, sync_id, phase, looked_at, expected, error_code, error_message, carries_permissions,
       readable_until, synced_at, held_back
  FROM source WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s ORDER BY name

-- name: last_sync
SELECT sync_id FROM sync
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(name)s
 ORDER BY started_at DESC, sync_id DESC LIMIT 1

-- name: describe_source
-- Before anything is handed in: whose readers it tells, and until when they hold. A source that is new is as fresh as now,
-- unless what it told hides already.
UPDATE source
   SET carries_permissions = %(carries)s,
       readable_until = coalesce(readable_until, now() + make_interval(secs => %(max_age_s)s))
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s AND step = %(step)s

-- name: save_state
UPDATE source
   SET state = %(state)s, step = step + 1, phase = %(phase)s, looked_at = %(looked_at)s, expected = %(expected)s,
       error_code = NULL, error_message = NULL
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s AND sync_id = %(sync)s AND step = %(step)s

-- name: note_trouble
UPDATE source SET error_code = %(code)s, error_message = %(message)s
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s AND sync_id = %(sync)s

-- name: end_source
-- What was held back stays so until a sync goes through.
UPDATE source
   SET sync_id = NULL, phase = %(phase)s::text, step = step + 1, state = %(state)s, confirmed = false,
       held_back = CASE WHEN %(phase)s::text = 'done' THEN NULL ELSE coalesce(%(held_back)s::integer, held_back) END,
       readable_until = CASE WHEN carries_permissions AND %(phase)s::text = 'done'
                             THEN greatest(readable_until, %(read_at)s::timestamptz + make_interval(secs => %(max_age_s)s))
                             ELSE readable_until END,
       synced_at = CASE WHEN %(phase)s::text = 'done' THEN now() ELSE synced_at END
 WHERE tenant_id = %(tenant)s AND source_id = %(source)s AND sync_id = %(sync)s AND step = %(step)s

-- name: the_time
SELECT clock_timestamp()

-- name: add_failed_item
INSERT INTO ingest_item (tenant_id, item_id, sync_id, collection_id, source, path, media_type, content_hash, bytes,
                         state, error_code, error_message, handed_in_by, finished_at)
VALUES (%(tenant)s, %(item)s, %(sync)s, %(collection)s, %(source)s, %(path)s, '', '', 0,
        'failed', %(code)s, %(message)s, %(by)s, now())

-- name: list_documents
SELECT document_id, path, given_readers, given_denials, restricted, readers_from FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(name)s AND tombstoned_at IS NULL AND part = ''

-- name: list_looked_at
-- What a sync need not look for again: it is queued, or this very sync has tried it.
SELECT path FROM ingest_item
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(name)s
   AND (state = 'queued' OR sync_id = %(sync)s)

-- name: count_gone
SELECT count(*) FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(source)s AND tombstoned_at IS NULL
   AND part = '' AND NOT path = ANY (%(seen)s::text[])

-- name: set_item_readers
UPDATE ingest_item SET readers = %(readers)s::uuid[], denials = %(denials)s::uuid[]
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND source = %(name)s AND state = 'queued'
   AND path = ANY (%(paths)s::text[]) AND (readers, denials) IS DISTINCT FROM (%(readers)s::uuid[], %(denials)s::uuid[])

-- name: set_given_readers
UPDATE document SET given_readers = %(readers)s::uuid[], readers_from = %(source)s
 WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])

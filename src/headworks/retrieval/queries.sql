-- Collections, documents and who reads them. Every statement names the tenant and runs under row-level security.

-- ── Collections ──

-- name: list_readable_collections
SELECT c.name, c.settings ->> 'description' AS description, c.epoch,
       (SELECT count(*) FROM document d
         WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.collection_id AND d.tombstoned_at IS NULL) AS documents
  FROM collection c
 WHERE c.tenant_id = %(tenant)s
   AND EXISTS (SELECT FROM collection_reader r WHERE r.tenant_id = c.tenant_id AND r.collection_id = c.collection_id)
 ORDER BY c.name

-- name: find_collection
-- Whether the caller reads it or not: for those who write to it.
SELECT c.collection_id, c.name, c.project_id, c.settings, c.generation_id, c.wave, c.lacks_vectors, c.epoch,
       g.model, g.model_digest, g.dimension, g.trouble, g.chunking, g.bare_chunks
  FROM collection c
  JOIN generation g ON g.tenant_id = c.tenant_id AND g.generation_id = c.generation_id
 WHERE c.tenant_id = %(tenant)s AND (c.name = %(name)s OR c.collection_id = %(collection)s)

-- name: list_collection_names
SELECT name FROM collection WHERE tenant_id = %(tenant)s ORDER BY name

-- name: lock_collection
-- Whoever changes documents, readers or the index of a collection does it alone. Handing in goes on.
SELECT pg_advisory_xact_lock(hashtextextended(%(collection)s::text, 7404917332))

-- name: add_collection
INSERT INTO collection (tenant_id, collection_id, project_id, name, settings)
VALUES (%(tenant)s, %(collection)s, %(project)s, %(name)s, %(settings)s)
    ON CONFLICT DO NOTHING

-- name: set_settings
UPDATE collection SET settings = %(settings)s, epoch = epoch + 1
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s

-- name: touch_collection
UPDATE collection
   SET epoch = epoch + 1, lacks_vectors = lacks_vectors OR %(lacks_vectors)s
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s

-- name: set_collection_readers
WITH gone AS (
    DELETE FROM collection_reader
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND NOT principal_id = ANY (%(readers)s::uuid[]))
INSERT INTO collection_reader (tenant_id, collection_id, principal_id)
SELECT %(tenant)s, %(collection)s, reader FROM unnest(%(readers)s::uuid[]) AS reader
    ON CONFLICT DO NOTHING

-- name: list_collection_readers
SELECT principal_id FROM collection_reader WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s

-- ── Generations ──

-- name: add_generation
INSERT INTO generation (tenant_id, generation_id, collection_id, model, chunking)
VALUES (%(tenant)s, %(generation)s, %(collection)s, %(model)s, %(chunking)s)

-- name: set_live_generation
UPDATE collection
   SET generation_id = %(generation)s, epoch = epoch + 1
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s

-- name: name_weights
-- The first vectors of a generation say which weights it is of.
UPDATE generation SET model_digest = %(digest)s, dimension = %(dimension)s
 WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s AND model_digest IS NULL

-- name: note_trouble
UPDATE generation SET trouble = %(trouble)s WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s

-- name: find_generation
SELECT g.generation_id, g.collection_id, g.model, g.model_digest, g.dimension, g.chunking,
       g.generation_id = c.generation_id AS is_live
  FROM generation g JOIN collection c ON c.tenant_id = g.tenant_id AND c.collection_id = g.collection_id
 WHERE g.tenant_id = %(tenant)s AND g.generation_id = %(generation)s

-- name: list_other_generations
SELECT g.generation_id, g.model, g.model_digest, g.chunking
  FROM generation g JOIN collection c ON c.tenant_id = g.tenant_id AND c.collection_id = g.collection_id
 WHERE g.tenant_id = %(tenant)s AND g.collection_id = %(collection)s AND g.generation_id IS DISTINCT FROM c.generation_id
 ORDER BY g.created_at DESC, g.generation_id DESC

-- name: drop_generation
-- Its chunks and vectors go with it; postings have no key to it.
WITH segments AS (
    DELETE FROM posting_segment
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND generation_id = %(generation)s
    RETURNING segment_id),
postings AS (
    DELETE FROM posting
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s
       AND segment_id IN (SELECT segment_id FROM segments))
DELETE FROM generation WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s

-- ── Documents and their readers ──

-- name: list_paths
-- Not of sections, which have lists of their own.
SELECT document_id, path, restricted, given_readers
  FROM document
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND tombstoned_at IS NULL AND part = ''

-- name: set_restricted
UPDATE document SET restricted = %(restricted)s
 WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[]) AND restricted <> %(restricted)s

-- name: set_document_readers
-- The same list for all of these documents; empty takes every row away.
WITH gone AS (
    DELETE FROM document_reader
     WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])
       AND NOT principal_id = ANY (%(readers)s::uuid[]))
INSERT INTO document_reader (tenant_id, document_id, principal_id)
SELECT %(tenant)s, document, reader
  FROM unnest(%(documents)s::uuid[]) AS document CROSS JOIN unnest(%(readers)s::uuid[]) AS reader
    ON CONFLICT DO NOTHING

-- name: list_document_readers
SELECT principal_id FROM document_reader WHERE tenant_id = %(tenant)s AND document_id = %(document)s

-- name: find_document
-- For an administrator's question: by id or by path, the living first.
SELECT d.document_id, d.collection_id, c.name AS collection, d.shown_path AS path, d.path AS file, d.part_of, d.cut_by,
       d.title, d.restricted, d.file_restricted, d.given_readers, c.settings,
       NOT EXISTS (SELECT FROM document_text t WHERE t.tenant_id = d.tenant_id AND t.document_id = d.document_id
                      AND t.version = d.version) AS is_bare,
       d.given_denials, d.tombstoned_at IS NOT NULL AS is_gone, d.valid_from, d.valid_to,
       coalesce(d.valid_from > now(), false) AS is_early, coalesce(d.valid_to <= now(), false) AS is_late,
       s.name AS told_by, s.readable_until, d.readers_from IS NOT NULL AND coalesce(s.readable_until <= now(), true) AS is_stale
  FROM document d JOIN collection c ON c.tenant_id = d.tenant_id AND c.collection_id = d.collection_id
  LEFT JOIN source s ON s.tenant_id = d.tenant_id AND s.source_id = d.readers_from
 WHERE d.tenant_id = %(tenant)s
   AND (d.document_id = %(document)s OR (%(document)s::uuid IS NULL AND d.shown_path = %(path)s))
   AND (%(collection)s::text IS NULL OR c.name = %(collection)s)
 ORDER BY d.tombstoned_at NULLS FIRST, d.source
 LIMIT 1

-- name: read_document
SELECT d.document_id, d.version, c.name AS collection, d.shown_path AS path, d.title, d.media_type, t.content,
       d.path AS file, d.part, d.blob_id, c.settings -> 'sections' AS rules
  FROM document d
  JOIN collection c ON c.tenant_id = d.tenant_id AND c.collection_id = d.collection_id
  JOIN document_text t ON t.tenant_id = d.tenant_id AND t.document_id = d.document_id AND t.version = d.version
 WHERE d.tenant_id = %(tenant)s AND d.document_id = %(document)s AND d.tombstoned_at IS NULL

-- name: find_original
-- Which file a document is of, and what of it is kept apart, as one statement sees them.
SELECT d.media_type, d.path AS file, d.part, d.blob_id, c.settings -> 'sections' AS rules
  FROM document d
  JOIN collection c ON c.tenant_id = d.tenant_id AND c.collection_id = d.collection_id
 WHERE d.tenant_id = %(tenant)s AND d.document_id = %(document)s AND d.tombstoned_at IS NULL

-- name: read_places
-- Of these versions what the caller may read, now: the text of one that is no longer current is for nobody.
SELECT d.document_id, wanted.version, d.shown_path AS path, d.title, t.content
  FROM unnest(%(documents)s::uuid[], %(versions)s::integer[]) AS wanted (document_id, version)
  JOIN document d ON d.tenant_id = %(tenant)s AND d.document_id = wanted.document_id AND d.tombstoned_at IS NULL
  LEFT JOIN document_text t ON t.tenant_id = %(tenant)s AND t.document_id = wanted.document_id AND t.version = wanted.version

-- name: read_texts
-- What the caller may read of these versions, now; and how fresh it is.
SELECT t.document_id, t.version, t.content, d.source, d.confirmed_at, d.review_at, now() AS now,
       c.settings -> 'freshness' AS freshness, c.settings -> 'sources' AS sources
  FROM unnest(%(documents)s::uuid[], %(versions)s::integer[]) AS wanted (document_id, version)
  JOIN document d ON d.tenant_id = %(tenant)s AND d.document_id = wanted.document_id AND d.tombstoned_at IS NULL
  JOIN document_text t ON t.tenant_id = %(tenant)s AND t.document_id = wanted.document_id AND t.version = wanted.version
  JOIN collection c ON c.tenant_id = d.tenant_id AND c.collection_id = d.collection_id
 WHERE t.tenant_id = %(tenant)s

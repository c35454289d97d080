-- Search. Postings give ids and weights; what leaves with a text goes through row-level security of its document.

-- name: plan
-- What a question is scored against; a collection without a reader that the caller is, is none.
SELECT c.collection_id, c.epoch, c.generation_id, c.lacks_vectors, g.model, g.model_digest,
       coalesce(g.dimension, 0) AS dimension, g.vectors, g.languages, c.settings -> 'passages' AS shown, s.chunks, s.total_length, b.terms, b.blocks
  FROM collection c
  JOIN generation g ON g.tenant_id = c.tenant_id AND g.generation_id = c.generation_id
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(p.chunks), 0)::bigint AS chunks, coalesce(sum(p.total_length), 0)::bigint AS total_length,
              array_agg(p.segment_id) AS segments
         FROM posting_segment p
        WHERE p.tenant_id = c.tenant_id AND p.collection_id = c.collection_id AND p.generation_id = c.generation_id) s
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(p.term), '{}') AS terms, coalesce(array_agg(p.block), '{}') AS blocks
         FROM posting p
        WHERE p.tenant_id = %(tenant)s AND p.collection_id = c.collection_id AND p.term = ANY (%(terms)s::text[])
          AND p.segment_id = ANY (s.segments)) b
 WHERE c.tenant_id = %(tenant)s AND c.name = %(name)s
   AND EXISTS (SELECT FROM collection_reader r WHERE r.tenant_id = c.tenant_id AND r.collection_id = c.collection_id)

-- name: read_tuning
SELECT settings -> 'search' FROM collection WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s

-- name: list_matching
-- Chunks of documents that pass a filter, as a list; null: none. A filter is a path over a document's metadata, or over
-- those and its facts where it names any; its values are variables of it.
SELECT array_agg(f.chunk_id)
  FROM (SELECT c.chunk_id
          FROM document d
          JOIN chunk c ON c.tenant_id = d.tenant_id AND c.document_id = d.document_id AND c.generation_id = %(generation)s
         WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND d.tombstoned_at IS NULL
           AND jsonb_path_match(CASE WHEN %(names_facts)s THEN facts_of(d) ELSE d.metadata END,
                                %(filter)s::jsonpath, %(values)s::jsonb, true)
         LIMIT %(limit)s) f

-- name: list_narrowed
-- The same by way of facts: of the parts of a filter that one which fewest documents can pass says where to look. No row:
-- each has `most` or more. A fact is a hint; row-level security and the filter decide.
WITH found AS MATERIALIZED (
    SELECT p.part, ARRAY(
           SELECT f.document_id
             FROM (SELECT n.document_id
                     FROM unnest(%(number_parts)s::integer[], %(number_names)s::text[], %(number_lows)s::float8[],
                                 %(number_highs)s::float8[]) AS w (part, name, low, high)
                    CROSS JOIN LATERAL (
                          SELECT f.document_id FROM document_fact f
                           WHERE f.tenant_id = %(tenant)s AND f.collection_id = %(collection)s AND f.name = w.name
                             AND f.number >= w.low AND f.number <= w.high
                           LIMIT %(most)s) n
                    WHERE w.part = p.part
                    UNION ALL
                   SELECT t.document_id
                     FROM unnest(%(text_parts)s::integer[], %(text_names)s::text[], %(text_lows)s::text[],
                                 %(text_highs)s::text[]) AS w (part, name, low, high)
                    CROSS JOIN LATERAL (
                          SELECT f.document_id FROM document_fact f
                           WHERE f.tenant_id = %(tenant)s AND f.collection_id = %(collection)s AND f.name = w.name
                             AND f.text >= w.low AND f.text < w.high
                           LIMIT %(most)s) t
                    WHERE w.part = p.part) f
            LIMIT %(most)s) AS documents
      FROM generate_series(0, %(parts)s::integer - 1) AS p (part))
SELECT ARRAY(
       SELECT c.chunk_id
         FROM document d
         JOIN chunk c ON c.tenant_id = d.tenant_id AND c.document_id = d.document_id AND c.generation_id = %(generation)s
        WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND d.tombstoned_at IS NULL
          AND d.document_id = ANY (fewest.documents)
          AND jsonb_path_match(CASE WHEN %(names_facts)s THEN facts_of(d) ELSE d.metadata END,
                               %(filter)s::jsonpath, %(values)s::jsonb, true)
        LIMIT %(limit)s) AS chunks
  FROM (SELECT documents FROM found WHERE cardinality(documents) < %(most)s ORDER BY cardinality(documents) LIMIT 1) fewest

-- name: pick_matching
-- Those of these chunks whose documents pass a filter.
SELECT array_agg(c.chunk_id)
  FROM chunk c
  JOIN document d ON d.tenant_id = c.tenant_id AND d.document_id = c.document_id
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s AND c.chunk_id = ANY (%(chunks)s::bigint[])
   AND d.collection_id = %(collection)s AND d.tombstoned_at IS NULL
   AND jsonb_path_match(CASE WHEN %(names_facts)s THEN facts_of(d) ELSE d.metadata END,
                        %(filter)s::jsonpath, %(values)s::jsonb, true)

-- name: list_dates
-- Microseconds since 1970 of a date of each chunk's document: one of its own, or the (first) one under a key; and of now.
SELECT c.chunk_id, c.document_id,
       CASE %(field)s::text WHEN 'updated_at' THEN (extract(epoch FROM d.updated_at) * 1000000)::bigint
                      WHEN 'created_at' THEN (extract(epoch FROM d.created_at) * 1000000)::bigint
                      ELSE (jsonb_path_query_first(d.metadata -> %(field)s::text, '$[*].at') #>> '{}')::bigint END AS at,
       (extract(epoch FROM now()) * 1000000)::bigint AS now
  FROM chunk c
  JOIN document d ON d.tenant_id = c.tenant_id AND d.document_id = c.document_id AND d.tombstoned_at IS NULL
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s AND c.chunk_id = ANY (%(chunks)s::bigint[])

-- name: list_admitting
-- As the caller, who sees no other rows: by which of its own grants it reads these documents.
SELECT NULL::uuid AS document_id, r.principal_id
  FROM collection_reader r
 WHERE r.tenant_id = %(tenant)s AND r.collection_id = %(collection)s
 UNION ALL
SELECT r.document_id, r.principal_id
  FROM document_reader r
 WHERE r.tenant_id = %(tenant)s AND r.document_id = ANY (%(documents)s::uuid[])

-- name: read_chunks
SELECT c.chunk_id, c.document_id, d.version, d.shown_path AS path, d.title, c.ordinal, c.start_offset, c.end_offset, c.content,
       d.metadata, d.restricted
  FROM chunk c
  JOIN document d ON d.tenant_id = c.tenant_id AND d.document_id = c.document_id AND d.tombstoned_at IS NULL
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s AND c.chunk_id = ANY (%(chunks)s::bigint[])

-- name: is_readable
SELECT EXISTS (
       SELECT FROM collection c
         JOIN collection_reader r ON r.tenant_id = c.tenant_id AND r.collection_id = c.collection_id
        WHERE c.tenant_id = %(tenant)s AND c.name = %(name)s)

-- name: find_documents
SELECT d.shown_path AS path, d.document_id, d.version, d.title
  FROM document d
  JOIN collection c ON c.tenant_id = d.tenant_id AND c.collection_id = d.collection_id
 WHERE d.tenant_id = %(tenant)s AND c.name = %(name)s AND d.shown_path = ANY (%(paths)s::text[]) AND d.tombstoned_at IS NULL
 ORDER BY d.shown_path, d.source

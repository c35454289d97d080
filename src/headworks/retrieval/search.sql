-- Search. Postings give ids and weights; what leaves with a text goes through row-level security of its document.

-- name: list_blocks
SELECT p.term, p.block
  FROM posting p
 WHERE p.tenant_id = %(tenant)s AND p.collection_id = %(collection)s AND p.term = ANY (%(terms)s::text[])
   AND p.segment_id = ANY (ARRAY(SELECT s.segment_id FROM posting_segment s
                                  WHERE s.tenant_id = %(tenant)s AND s.collection_id = %(collection)s
                                    AND s.generation_id = %(generation)s))

-- name: gate_chunks
-- Which of these chunks the caller may read.
SELECT c.chunk_id
  FROM chunk c
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s AND c.chunk_id = ANY (%(chunks)s::bigint[])

-- name: nearest_chunks
-- Exact, within what the caller may read: vectors are of length 1, and `+ 0` keeps the planner from any index on them.
SELECT e.chunk_id, (e.vector <#> %(vector)s::halfvec) + 0 AS distance
  FROM embedding_384 e
 WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s
 ORDER BY distance
 LIMIT %(limit)s

-- name: distances
SELECT e.chunk_id, (e.vector <#> %(vector)s::halfvec) + 0 AS distance
  FROM embedding_384 e
 WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s AND e.chunk_id = ANY (%(chunks)s::bigint[])

-- name: read_chunks
SELECT c.chunk_id, c.document_id, d.version, d.path, d.title, c.ordinal, c.start_offset, c.end_offset, c.content
  FROM chunk c
  JOIN document d ON d.tenant_id = c.tenant_id AND d.document_id = c.document_id AND d.tombstoned_at IS NULL
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s AND c.chunk_id = ANY (%(chunks)s::bigint[])

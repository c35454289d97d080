-- The leg of vectors. Every statement runs as the caller: row-level security keeps out what it may not read.

-- name: scan_all
-- The nearest of what the caller may read, exactly: vectors are of length 1, so the negative inner product ranks as the
-- cosine does, and `+ 0` keeps the planner from any index on them.
SELECT e.chunk_id, (e.vector <#> %(vector)s::halfvec) + 0 AS distance
  FROM embedding e
 WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s
 ORDER BY distance
 LIMIT %(limit)s

-- name: gate
-- Which of these chunks the caller may read, each with its distance where there is one.
SELECT c.chunk_id, (e.vector <#> %(vector)s::halfvec) + 0 AS distance
  FROM chunk c
  LEFT JOIN embedding e ON e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s AND e.chunk_id = c.chunk_id
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s AND c.chunk_id = ANY (%(chunks)s::bigint[])

-- The leg of vectors. Every statement runs as the caller: row-level security keeps out what it may not read.
-- Vectors are of length 1, so the negative inner product ranks as the cosine does.

-- name: scan_all
-- The nearest of all that the caller may read, exactly: `+ 0` keeps the planner from any index on vectors.
SELECT e.chunk_id, (e.vector <#> %(vector)s::halfvec) + 0 AS distance
  FROM embedding e
 WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s
 ORDER BY distance
 LIMIT %(limit)s

-- name: scan_few
-- The same, by way of the documents that may be the caller's: those that nobody restricted, and those that name one of
-- the principals it acts as. That is a hint and at least all of them; row-level security decides.
SELECT e.chunk_id, (e.vector <#> %(vector)s::halfvec) + 0 AS distance
  FROM embedding e
 WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s
   AND e.document_id = ANY (ARRAY(
       SELECT r.document_id FROM document_reader r
        WHERE r.tenant_id = %(tenant)s AND r.principal_id = ANY ((SELECT acting_ids())::uuid[])
        UNION ALL
       SELECT d.document_id FROM document d
        WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND NOT d.restricted))
 ORDER BY distance
 LIMIT %(limit)s

-- name: count_readable
-- How many chunks the caller may read, counted up to a number. To choose a way by, never a permission.
SELECT count(*)
  FROM (SELECT FROM embedding e
         WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s
           AND e.document_id = ANY (ARRAY(
               SELECT r.document_id FROM document_reader r
                WHERE r.tenant_id = %(tenant)s AND r.principal_id = ANY ((SELECT acting_ids())::uuid[])
                UNION ALL
               SELECT d.document_id FROM document d
                WHERE d.tenant_id = %(tenant)s AND d.collection_id = %(collection)s AND NOT d.restricted
                LIMIT %(most)s))
         LIMIT %(most)s) AS some_of_it

-- name: has_index
SELECT coalesce((SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(%(index)s)), false)

-- name: walk
-- Along the generation's own index, until enough are found that the caller may read. The order is nearly that of the
-- distance. A partial index on an expression: both must be written as `vector_index.py` writes them.
SELECT e.chunk_id, halfvec(e.vector, %(dimension)s::integer, true) <#> %(vector)s::halfvec AS distance
  FROM embedding e
 WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s
 ORDER BY halfvec(e.vector, %(dimension)s::integer, true) <#> %(vector)s::halfvec
 LIMIT %(limit)s

-- name: aim
-- Before `walk`, for this transaction. The planner must know the values (the index is a partial one), may not sort, and
-- may not make a table of everything that the caller may read to look up the few chunks that it comes by. `passed`: how
-- many an index has come by in this transaction, readable or not.
SELECT pg_stat_get_xact_tuples_fetched(to_regclass(%(index)s)::oid) AS passed,
       current_setting('plan_cache_mode') AS plan_cache_mode, current_setting('enable_sort') AS enable_sort,
       current_setting('work_mem') AS work_mem, current_setting('hash_mem_multiplier') AS hash_mem_multiplier,
       set_config('plan_cache_mode', 'force_custom_plan', true) || set_config('enable_sort', 'off', true)
       || set_config('work_mem', '64kB', true) || set_config('hash_mem_multiplier', '1', true)
       || set_config('hnsw.iterative_scan', 'relaxed_order', true)
       || set_config('hnsw.scan_mem_multiplier', '1000', true)
       || set_config('hnsw.ef_search', %(ef)s::text, true)
       || set_config('hnsw.max_scan_tuples', %(tuples)s::text, true) AS aimed

-- name: unaim
-- After it: what the transaction goes on with is planned as ever.
SELECT pg_stat_get_xact_tuples_fetched(to_regclass(%(index)s)::oid) AS passed,
       set_config('plan_cache_mode', %(plan_cache_mode)s, true) || set_config('enable_sort', %(enable_sort)s, true)
       || set_config('work_mem', %(work_mem)s, true) || set_config('hash_mem_multiplier', %(hash_mem_multiplier)s, true)
       AS unaimed

-- name: gate
-- Which of these chunks the caller may read, each with its distance where there is one.
SELECT c.chunk_id, (e.vector <#> %(vector)s::halfvec) + 0 AS distance
  FROM chunk c
  LEFT JOIN embedding e ON e.tenant_id = %(tenant)s AND e.chunk_id = c.chunk_id
 WHERE c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s AND c.chunk_id = ANY (%(chunks)s::bigint[])

-- ── The indexes, for maintenance: as the tenant's curator ──

-- name: list_wanted
-- Generations with many vectors and no index that can be used: those that serve, when nothing is being handed in or
-- embedded (rows that come later are put into the index one by one) or they are very many; and one that is named.
SELECT g.generation_id, g.dimension, g.vectors
  FROM generation g
  JOIN collection c ON c.tenant_id = g.tenant_id AND c.collection_id = g.collection_id
 WHERE g.tenant_id = %(tenant)s AND g.vectors >= %(many)s AND g.dimension <= %(most_numbers)s
   AND (g.generation_id = %(generation)s
        OR g.generation_id = c.generation_id
           AND (g.vectors >= %(very_many)s
                OR NOT c.lacks_vectors
                   AND NOT EXISTS (SELECT FROM ingest_item i
                                    WHERE i.tenant_id = g.tenant_id AND i.collection_id = g.collection_id
                                      AND i.state = 'queued')))
   AND NOT EXISTS (SELECT FROM pg_class n JOIN pg_index i ON i.indexrelid = n.oid
                    WHERE n.relnamespace = 'headworks'::regnamespace AND i.indisvalid
                      AND n.relname = 'nearest_' || replace(g.generation_id::text, '-', ''))

-- name: list_unwanted
-- Indexes of this tenant whose generation is gone, and those that a build has left unfinished.
SELECT n.relname::text AS name, g.generation_id IS NULL AS is_orphan
  FROM pg_index i
  JOIN pg_class n ON n.oid = i.indexrelid
  LEFT JOIN generation g ON g.tenant_id = %(tenant)s AND 'nearest_' || replace(g.generation_id::text, '-', '') = n.relname
 WHERE i.indrelid = 'headworks.embedding'::regclass AND starts_with(n.relname, 'nearest_')
   AND strpos(pg_get_expr(i.indpred, i.indrelid), %(tenant)s::text) > 0
   AND (NOT i.indisvalid OR g.generation_id IS NULL)

-- name: can_walk
-- Whether this pgvector goes on along an index until enough is found; before 0.8 it does not, and all scans are exact.
SELECT string_to_array(regexp_replace(extversion, '[^0-9.].*', ''), '.')::integer[] >= ARRAY[0, 8, 0]
  FROM pg_extension WHERE extname = 'vector'

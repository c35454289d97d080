-- What stands around a chunk that was found, as the caller.

-- name: read_around
SELECT c.document_id, d.version, c.ordinal, c.chunk_id, c.start_offset, c.end_offset, c.content
  FROM (SELECT DISTINCT w.document_id, o.ordinal
          FROM unnest(%(documents)s::uuid[], %(firsts)s::integer[], %(lasts)s::integer[]) AS w (document_id, first, last)
         CROSS JOIN LATERAL generate_series(w.first, w.last) AS o (ordinal)) around
  JOIN chunk c ON c.tenant_id = %(tenant)s AND c.generation_id = %(generation)s
              AND c.document_id = around.document_id AND c.ordinal = around.ordinal
  JOIN document d ON d.tenant_id = %(tenant)s AND d.document_id = c.document_id AND d.tombstoned_at IS NULL

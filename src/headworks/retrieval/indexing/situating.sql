-- What a model wrote about chunks, so that it is asked once for each.

-- name: find_written
SELECT digest, content
  FROM chunk_context
 WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND content_hash = %(content_hash)s
   AND digest = ANY (%(digests)s::text[])

-- name: put_written
INSERT INTO chunk_context (tenant_id, collection_id, content_hash, digest, content)
SELECT %(tenant)s, %(collection)s, %(content_hash)s, w.digest, w.content
  FROM unnest(%(digests)s::text[], %(contents)s::bytea[]) AS w (digest, content)
    ON CONFLICT DO NOTHING

-- name: forget_written
-- Of contents that no document has any more, and none is about to have.
DELETE FROM chunk_context x
 WHERE x.tenant_id = %(tenant)s AND x.collection_id = %(collection)s
   AND NOT EXISTS (SELECT FROM document d
                    WHERE d.tenant_id = x.tenant_id AND d.collection_id = x.collection_id
                      AND d.content_hash = x.content_hash)
   AND NOT EXISTS (SELECT FROM ingest_item i
                    WHERE i.tenant_id = x.tenant_id AND i.collection_id = x.collection_id AND i.state = 'queued'
                      AND i.content_hash = x.content_hash)

-- name: count_bare
UPDATE generation SET bare_chunks = bare_chunks + %(number)s
 WHERE tenant_id = %(tenant)s AND generation_id = %(generation)s

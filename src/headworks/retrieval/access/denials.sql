-- Deny entries, written by the curator; the policies put them before every reader.

-- name: set_of_collection
WITH gone AS (
    DELETE FROM collection_denial
     WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s AND NOT principal_id = ANY (%(denied)s::uuid[]))
INSERT INTO collection_denial (tenant_id, collection_id, principal_id)
SELECT %(tenant)s, %(collection)s, denied FROM unnest(%(denied)s::uuid[]) AS denied
    ON CONFLICT DO NOTHING

-- name: list_of_collection
SELECT principal_id FROM collection_denial WHERE tenant_id = %(tenant)s AND collection_id = %(collection)s

-- name: set_given
UPDATE document SET given_denials = %(denied)s::uuid[]
 WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])

-- name: list_paths
-- Of these documents, or of all that are there; sections have entries of their own.
SELECT document_id, path, given_denials, has_denials
  FROM document
 WHERE part = '' AND tenant_id = %(tenant)s AND collection_id = %(collection)s
   AND (document_id = ANY (%(documents)s::uuid[]) OR (%(documents)s::uuid[] IS NULL AND tombstoned_at IS NULL))

-- name: set_of_documents
-- The same entries for all of these documents; none takes every row away.
WITH gone AS (
    DELETE FROM document_denial
     WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[])
       AND NOT principal_id = ANY (%(denied)s::uuid[])),
marked AS (
    UPDATE document SET has_denials = (cardinality(%(denied)s::uuid[]) > 0)
     WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[]))
INSERT INTO document_denial (tenant_id, document_id, principal_id)
SELECT %(tenant)s, document, denied
  FROM unnest(%(documents)s::uuid[]) AS document CROSS JOIN unnest(%(denied)s::uuid[]) AS denied
    ON CONFLICT DO NOTHING

-- name: list_of_document
SELECT principal_id FROM document_denial WHERE tenant_id = %(tenant)s AND document_id = %(document)s

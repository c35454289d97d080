-- Legal holds. Every statement names the tenant and runs under row-level security.

-- name: name_subjects
-- As who asks may know them: a document that somebody may not read has no title here.
SELECT d.document_id AS subject_id, d.title, c.name || '/' || d.shown_path AS path
  FROM document d
  JOIN collection c ON c.tenant_id = d.tenant_id AND c.collection_id = d.collection_id
 WHERE d.tenant_id = %(tenant)s AND d.document_id = ANY (%(subjects)s::uuid[])
 UNION ALL
SELECT c.collection_id, c.name, '' FROM collection c
 WHERE c.tenant_id = %(tenant)s AND c.collection_id = ANY (%(subjects)s::uuid[])

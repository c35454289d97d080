-- Taking out of records what is erased: payloads of spans and labels of end users; nothing else can be changed there.

-- name: forget_spans_of_documents
UPDATE span SET payload = NULL
 WHERE tenant_id = %(tenant)s AND payload IS NOT NULL AND documents && %(documents)s::uuid[]

-- name: forget_spans_of_person
UPDATE span SET payload = NULL WHERE tenant_id = %(tenant)s AND payload IS NOT NULL AND principal_id = %(person)s

-- name: forget_end_user
UPDATE usage SET end_user = NULL WHERE tenant_id = %(tenant)s AND end_user = ANY (%(labels)s::text[])

-- name: traces_of_documents
SELECT DISTINCT trace_id FROM span
 WHERE tenant_id = %(tenant)s AND trace_id = ANY (%(traces)s::uuid[]) AND documents && %(documents)s::uuid[]

-- name: traces_of_person
-- By its spans, or by its usage, which is kept longer.
SELECT trace_id FROM span
 WHERE tenant_id = %(tenant)s AND trace_id = ANY (%(traces)s::uuid[]) AND principal_id = %(person)s
UNION
SELECT trace_id FROM usage
 WHERE tenant_id = %(tenant)s AND trace_id = ANY (%(traces)s::uuid[]) AND principal_id = %(person)s

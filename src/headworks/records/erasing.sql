-- Taking out of records what is erased: payloads of spans and labels of end users; nothing else can be changed there.

-- name: forget_spans_of_documents
UPDATE span SET payload = NULL
 WHERE tenant_id = %(tenant)s AND payload IS NOT NULL AND documents && %(documents)s::uuid[]

-- name: forget_spans_of_person
UPDATE span SET payload = NULL WHERE tenant_id = %(tenant)s AND payload IS NOT NULL AND principal_id = %(person)s

-- name: forget_end_user
UPDATE usage SET end_user = NULL WHERE tenant_id = %(tenant)s AND end_user = ANY (%(labels)s::text[])

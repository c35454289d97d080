-- name: remember
INSERT INTO stored_response AS s (tenant_id, principal_id, response_id, target, documents, expires_at)
VALUES (%(tenant)s, %(principal)s, %(response)s, %(target)s, %(documents)s, now() + %(keep_s)s * interval '1 second')
ON CONFLICT (tenant_id, principal_id, response_id)
    DO UPDATE SET target = excluded.target, documents = excluded.documents, expires_at = excluded.expires_at
            WHERE s.target IS NOT NULL;

-- name: keep
-- Nothing where the id is taken, or where what it is to follow is not there.
INSERT INTO stored_response (tenant_id, principal_id, response_id, previous_id, content, documents, expires_at)
SELECT %(tenant)s, %(principal)s, %(response)s, %(previous)s, %(content)s, %(documents)s,
       now() + %(keep_s)s * interval '1 second'
 WHERE %(previous)s::text IS NULL
    OR EXISTS (SELECT FROM stored_response p
                WHERE p.tenant_id = %(tenant)s AND p.principal_id = %(principal)s AND p.response_id = %(previous)s
                  AND p.content IS NOT NULL AND p.expires_at > now())
ON CONFLICT DO NOTHING;

-- name: remember_items
-- Of a response that is there.
INSERT INTO stored_item AS i (tenant_id, principal_id, item_id, response_id)
SELECT s.tenant_id, s.principal_id, item, s.response_id
  FROM stored_response s CROSS JOIN unnest(%(items)s::text[]) AS item
 WHERE s.tenant_id = %(tenant)s AND s.principal_id = %(principal)s AND s.response_id = %(response)s
ON CONFLICT (tenant_id, principal_id, item_id) DO UPDATE SET response_id = excluded.response_id;

-- name: find_items
SELECT i.item_id, i.response_id, s.target, s.content, s.documents
  FROM stored_item i
  JOIN stored_response s ON s.tenant_id = i.tenant_id AND s.principal_id = i.principal_id AND s.response_id = i.response_id
 WHERE i.tenant_id = %(tenant)s AND i.principal_id = %(principal)s AND i.item_id = ANY (%(items)s::text[])
   AND s.expires_at > now();

-- name: find
SELECT response_id, target, previous_id, content, documents, created_at, expires_at
  FROM stored_response
 WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s AND response_id = %(response)s AND expires_at > now();

-- name: chain
-- A response and those that it follows, newest first. Numbers only fall, so there is always an end.
WITH RECURSIVE chain AS (
    SELECT s.response_id, s.previous_id, s.target, s.content, s.documents, s.number, 1 AS length
      FROM stored_response s
     WHERE s.tenant_id = %(tenant)s AND s.principal_id = %(principal)s AND s.response_id = %(response)s
       AND s.expires_at > now()
    UNION ALL
    SELECT p.response_id, p.previous_id, p.target, p.content, p.documents, p.number, c.length + 1
      FROM chain c
      JOIN stored_response p ON p.tenant_id = %(tenant)s AND p.principal_id = %(principal)s
                            AND p.response_id = c.previous_id AND p.number < c.number AND p.expires_at > now()
     WHERE c.length <= %(longest)s
)
SELECT response_id, previous_id, target, content, documents FROM chain ORDER BY length;

-- name: count_readable
SELECT count(*) FROM document WHERE tenant_id = %(tenant)s AND document_id = ANY (%(documents)s::uuid[]);

-- name: delete
DELETE FROM stored_response
 WHERE tenant_id = %(tenant)s AND principal_id = %(principal)s AND response_id = %(response)s AND expires_at > now();

-- name: remove_expired
DELETE FROM stored_response
 WHERE tenant_id = %(tenant)s AND ctid = ANY (ARRAY(
        SELECT e.ctid FROM stored_response e
         WHERE e.tenant_id = %(tenant)s AND e.expires_at <= now() ORDER BY e.expires_at LIMIT %(most)s));

-- name: erase_quoting
-- As the curator.
DELETE FROM stored_response WHERE tenant_id = %(tenant)s AND documents && %(documents)s::uuid[];

-- name: erase_of_person
-- As the curator.
DELETE FROM stored_response WHERE tenant_id = %(tenant)s AND principal_id = %(person)s;

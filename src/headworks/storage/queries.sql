-- name: has_data_key
SELECT EXISTS (SELECT FROM data_key WHERE tenant_id = %(tenant)s)

-- name: add_first_data_key
INSERT INTO data_key (tenant_id, key_id, wrapped) VALUES (%(tenant)s, 1, %(wrapped)s) ON CONFLICT DO NOTHING

-- name: list_data_keys
SELECT key_id, wrapped, retired_at FROM data_key WHERE tenant_id = %(tenant)s

-- name: add_blob_piece
INSERT INTO blob (tenant_id, blob_id, piece, content) VALUES (%(tenant)s, %(blob_id)s, %(piece)s, %(content)s)

-- name: list_pieces_of_blobs
SELECT blob_id, content FROM blob WHERE tenant_id = %(tenant)s AND blob_id = ANY (%(blobs)s::uuid[]) ORDER BY blob_id, piece

-- name: delete_blob
DELETE FROM blob WHERE tenant_id = %(tenant)s AND blob_id = %(blob_id)s

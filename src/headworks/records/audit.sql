-- name: note_audit
-- Nobody's id stands for whoever is still at the door.
INSERT INTO audit_event (tenant_id, event_id, principal_id, key_id, action, subject, detail)
VALUES (%(tenant)s, %(event)s, nullif(%(by)s::uuid, '00000000-0000-0000-0000-000000000000'), %(key)s, %(action)s, %(subject)s,
        %(detail)s);

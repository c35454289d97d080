-- Runs of one tenant as people see and steer them. `authenticated_user` is the tenant that asked; DBOS leaves it alone.

-- name: list_runs
SELECT w.workflow_uuid AS run, w.name AS kind, w.queue_partition_key AS lane, w.status,
       coalesce(w.delay_until_epoch_ms, 0) = %(paused)s AS is_paused, coalesce(w.recovery_attempts, 0) AS taken_up,
       to_timestamp(w.created_at / 1000.0) AS asked_at, to_timestamp(w.updated_at / 1000.0) AS moved_at,
       CASE WHEN w.status = 'DELAYED' AND w.delay_until_epoch_ms < %(paused)s
            THEN to_timestamp(w.delay_until_epoch_ms / 1000.0) END AS due_at,
       s.steps, to_timestamp(s.ended / 1000.0) AS stepped_at
  FROM dbos.workflow_status w
 CROSS JOIN LATERAL (SELECT count(*) AS steps, max(o.completed_at_epoch_ms) AS ended
                       FROM dbos.operation_outputs o WHERE o.workflow_uuid = w.workflow_uuid) s
 WHERE w.authenticated_user = %(tenant)s::text
   AND (%(run)s::text IS NULL OR w.workflow_uuid = %(run)s)
   AND (%(statuses)s::text[] IS NULL OR w.status = ANY (%(statuses)s::text[]))
 ORDER BY w.created_at DESC, w.workflow_uuid DESC
 LIMIT %(limit)s

-- name: list_steps
SELECT o.function_name AS name, to_timestamp(o.started_at_epoch_ms / 1000.0) AS started_at,
       to_timestamp(o.completed_at_epoch_ms / 1000.0) AS ended_at, o.error IS NOT NULL AS has_failed
  FROM dbos.operation_outputs o JOIN dbos.workflow_status w USING (workflow_uuid)
 WHERE w.authenticated_user = %(tenant)s::text AND w.workflow_uuid = %(run)s
 ORDER BY o.function_id DESC
 LIMIT %(limit)s

-- name: lock_lane
-- Whoever asks for a run holds it shared until its transaction ends: none slips past a pause.
SELECT pg_advisory_xact_lock(hashtextextended('lane ' || %(tenant)s::text || ' ' || %(lane)s::text, 7404917333))

-- name: add_pause
INSERT INTO job_pause (tenant_id, partition, paused_by) VALUES (%(tenant)s, %(lane)s, %(by)s) ON CONFLICT DO NOTHING

-- name: delete_pause
DELETE FROM job_pause WHERE tenant_id = %(tenant)s AND partition = %(lane)s

-- name: list_pauses
SELECT partition AS lane, paused_by, paused_at FROM job_pause WHERE tenant_id = %(tenant)s ORDER BY partition

-- name: set_aside
-- What runs ends after its step, which sees that it is cancelled; what waits waits for good.
UPDATE dbos.workflow_status
   SET status = 'CANCELLED', delay_until_epoch_ms = %(paused)s, owner_xid = NULL, started_at_epoch_ms = NULL,
       updated_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
 WHERE authenticated_user = %(tenant)s::text AND queue_partition_key = %(lane)s AND status IN ('ENQUEUED', 'DELAYED', 'PENDING')

-- name: take_up
UPDATE dbos.workflow_status
   SET status = 'ENQUEUED', delay_until_epoch_ms = NULL, owner_xid = NULL, started_at_epoch_ms = NULL, completed_at = NULL,
       recovery_attempts = 0, queue_name = %(queue)s,
       updated_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
 WHERE authenticated_user = %(tenant)s::text AND queue_partition_key = %(lane)s AND delay_until_epoch_ms = %(paused)s
   AND status IN ('CANCELLED', 'DELAYED')

-- name: cancel_run
UPDATE dbos.workflow_status
   SET status = 'CANCELLED', delay_until_epoch_ms = NULL, owner_xid = NULL, started_at_epoch_ms = NULL,
       completed_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
       updated_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
 WHERE authenticated_user = %(tenant)s::text AND workflow_uuid = %(run)s
   AND (status IN ('ENQUEUED', 'DELAYED', 'PENDING') OR (status = 'CANCELLED' AND delay_until_epoch_ms = %(paused)s))

-- name: forget_failed_steps
DELETE FROM dbos.operation_outputs o
 USING dbos.workflow_status w
 WHERE w.workflow_uuid = o.workflow_uuid AND w.authenticated_user = %(tenant)s::text AND o.workflow_uuid = %(run)s
   AND o.error IS NOT NULL

-- name: forget_outcome
DELETE FROM dbos.workflow_output o
 USING dbos.workflow_status w
 WHERE w.workflow_uuid = o.workflow_uuid AND w.authenticated_user = %(tenant)s::text AND o.workflow_uuid = %(run)s

-- name: retry_run
-- The steps that went well are not done again.
UPDATE dbos.workflow_status
   SET status = CASE WHEN %(is_paused)s THEN 'DELAYED' ELSE 'ENQUEUED' END,
       delay_until_epoch_ms = CASE WHEN %(is_paused)s THEN %(paused)s::bigint END,
       owner_xid = NULL, started_at_epoch_ms = NULL, completed_at = NULL, error = NULL, output = NULL,
       recovery_attempts = 0, queue_name = %(queue)s,
       updated_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
 WHERE authenticated_user = %(tenant)s::text AND workflow_uuid = %(run)s
   AND (status IN ('ERROR', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
        OR (status = 'CANCELLED' AND coalesce(delay_until_epoch_ms, 0) <> %(paused)s))

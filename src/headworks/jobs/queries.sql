-- Statements over DBOS's own schema `dbos` and our `replica`. Arguments of runs are ids, never text.

-- name: share_lane
-- Until the transaction ends: a pause of this partition waits for it, and it for a pause.
SELECT pg_advisory_xact_lock_shared(
    hashtextextended('lane ' || headworks.app_tenant()::text || ' ' || %(partition)s::text, 7404917333));

-- name: enqueue
-- One run for each id, for ever: asking again while it is known does nothing. In a partition that is paused it waits.
SELECT dbos.enqueue_workflow(
    workflow_name => %(name)s, queue_name => %(queue)s, positional_args => %(arguments)s::text[]::json[],
    workflow_id => %(workflow_id)s, app_version => %(version)s, queue_partition_key => %(partition)s,
    authenticated_user => headworks.app_tenant()::text,
    delay_until_epoch_ms => CASE
        WHEN EXISTS (SELECT FROM headworks.job_pause p
                      WHERE p.tenant_id = headworks.app_tenant() AND p.partition = %(partition)s)
        THEN %(paused_until)s::bigint
        WHEN %(delay_s)s::float8 > 0
        THEN (extract(epoch FROM clock_timestamp()) * 1000 + %(delay_s)s::float8 * 1000)::bigint END,
    application_name => %(application)s)
 WHERE NOT EXISTS (SELECT FROM dbos.workflow_status WHERE workflow_uuid = %(workflow_id)s);

-- name: has_work
-- Something to take up: queued, due, or left behind by a process that no longer beats.
SELECT EXISTS (SELECT FROM dbos.workflow_status WHERE status = 'ENQUEUED')
    OR EXISTS (SELECT FROM dbos.workflow_status
                WHERE status = 'DELAYED' AND delay_until_epoch_ms <= extract(epoch FROM clock_timestamp()) * 1000)
    OR EXISTS (SELECT FROM dbos.workflow_status w
                WHERE w.status = 'PENDING'
                  AND NOT EXISTS (SELECT FROM headworks.replica r
                                   WHERE r.executor_id = w.executor_id
                                     AND r.beat_at > clock_timestamp() - make_interval(secs => %(stale_s)s)));

-- name: look
-- What has become due is queued. Whether a run can begin: one that is queued in a lane where none runs. Whether there is
-- any work, here or elsewhere, or will be in 5 s.
WITH due AS (
    UPDATE dbos.workflow_status SET status = 'ENQUEUED'
     WHERE status = 'DELAYED' AND delay_until_epoch_ms <= (extract(epoch FROM statement_timestamp()) * 1000)::bigint
    RETURNING 1)
SELECT EXISTS (SELECT FROM due)
    OR EXISTS (SELECT FROM dbos.workflow_status q
                WHERE q.queue_name = %(queue)s AND q.status = 'ENQUEUED' AND q.queue_partition_key IS NOT NULL
                  AND NOT EXISTS (SELECT FROM dbos.workflow_status p
                                   WHERE p.queue_name = q.queue_name AND p.status = 'PENDING'
                                     AND p.queue_partition_key = q.queue_partition_key)) AS can_begin,
       EXISTS (SELECT FROM due)
    OR EXISTS (SELECT FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING'))
    OR EXISTS (SELECT FROM dbos.workflow_status
                WHERE status = 'DELAYED'
                  AND delay_until_epoch_ms <= (extract(epoch FROM statement_timestamp()) * 1000)::bigint + 5000) AS is_busy;

-- name: beat
INSERT INTO headworks.replica AS r (executor_id, beat_at) VALUES (%(executor_id)s, clock_timestamp())
    ON CONFLICT (executor_id) DO UPDATE SET beat_at = excluded.beat_at;

-- name: leave
DELETE FROM headworks.replica WHERE executor_id = %(executor_id)s OR beat_at < clock_timestamp() - interval '1 day';

-- name: may_reap
-- Not within 3 s of the server's start: then every heartbeat is old, and nobody is dead.
SELECT pg_try_advisory_xact_lock(7404917331) AND pg_postmaster_start_time() < clock_timestamp() - interval '3 s';

-- name: dead_executors
SELECT DISTINCT w.executor_id
  FROM dbos.workflow_status w
 WHERE w.status = 'PENDING' AND w.executor_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM headworks.replica r
                    WHERE r.executor_id = w.executor_id
                      AND r.beat_at > clock_timestamp() - make_interval(secs => %(stale_s)s));

-- name: finished_runs
SELECT workflow_uuid
  FROM dbos.workflow_status
 WHERE (status IN ('SUCCESS', 'CANCELLED') AND coalesce(delay_until_epoch_ms, 0) <> %(paused_until)s::bigint AND updated_at < extract(epoch FROM clock_timestamp()) * 1000 - 3600 * 1000)
    OR (status IN ('ERROR', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
        AND updated_at < extract(epoch FROM clock_timestamp()) * 1000 - 7 * 86400 * 1000::bigint)
 LIMIT 1000;

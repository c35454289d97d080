-- COPY is refused on tables with row-level security. Records that were never sent before are copied into the partition of
-- their month, where `hw_ingest` may append and nobody may read; all others land in a temporary table, emptied at every
-- commit and seen by nobody else, and go through the parent, which takes those that are new.

-- name: take_tables
-- Before a partition of theirs: whoever makes partitions takes them in this order, too.
LOCK TABLE ONLY usage, ONLY span IN ROW EXCLUSIVE MODE;

-- name: append_usage
COPY {partition} (tenant_id, arrived_at, request_id, trace_id, surface, purpose, asked_model, status, streamed, total_us,
    principal_id, key_id, feature, channel, release, provider, model, error_code, attempts, input_tokens,
    cached_input_tokens, output_tokens, is_estimated, cost_micro_usd, price_version, end_user, admit_us, retrieval_us,
    render_us, first_byte_us, upstream_us, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, service_tier, continuations)
FROM STDIN WITH ({form});

-- name: append_spans
COPY {partition} (tenant_id, arrived_at, trace_id, span_id, name, started_at, parent_id, principal_id, key_id, duration_us,
    status, release, input_tokens, output_tokens, cost_micro_usd, attributes, documents, payload)
FROM STDIN;

-- name: stage_usage
CREATE TEMPORARY TABLE IF NOT EXISTS usage_arrival (
    tenant_id uuid, arrived_at timestamptz, request_id uuid, trace_id uuid, surface text, purpose text, asked_model text,
    status smallint, streamed boolean, total_us bigint, principal_id uuid, key_id uuid, feature text, channel text,
    release text, provider text, model text, error_code text, attempts smallint, input_tokens integer,
    cached_input_tokens integer, output_tokens integer, is_estimated boolean, cost_micro_usd bigint, price_version text,
    end_user text, admit_us bigint, retrieval_us bigint, render_us bigint, first_byte_us bigint, upstream_us bigint,
    cache_write_tokens integer, cache_write_1h_tokens integer, reasoning_tokens integer, audio_input_tokens integer,
    audio_output_tokens integer, service_tier text, continuations smallint
) ON COMMIT DELETE ROWS;

-- name: copy_usage
COPY usage_arrival FROM STDIN WITH (FORMAT csv, NULL 'null');

-- name: copy_odd_usage
COPY usage_arrival FROM STDIN;

-- name: keep_usage
-- Idempotent: a replayed line has the same arrival and request.
INSERT INTO usage (tenant_id, arrived_at, request_id, trace_id, surface, purpose, asked_model, status, streamed, total_us,
    principal_id, key_id, feature, channel, release, provider, model, error_code, attempts, input_tokens,
    cached_input_tokens, output_tokens, is_estimated, cost_micro_usd, price_version, end_user, admit_us, retrieval_us,
    render_us, first_byte_us, upstream_us, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, service_tier, continuations)
SELECT tenant_id, arrived_at, request_id, trace_id, surface, purpose, asked_model, status, streamed, total_us,
    principal_id, key_id, feature, channel, release, provider, model, error_code, attempts, input_tokens,
    cached_input_tokens, output_tokens, is_estimated, cost_micro_usd, price_version, end_user, admit_us, retrieval_us,
    render_us, first_byte_us, upstream_us, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, service_tier, continuations
  FROM usage_arrival ON CONFLICT DO NOTHING;

-- name: stage_spans
CREATE TEMPORARY TABLE IF NOT EXISTS span_arrival (
    tenant_id uuid, arrived_at timestamptz, trace_id uuid, span_id uuid, name text, started_at timestamptz,
    parent_id uuid, principal_id uuid, key_id uuid, duration_us bigint, status text, release text, input_tokens integer,
    output_tokens integer, cost_micro_usd bigint, attributes jsonb, documents uuid[], payload bytea
) ON COMMIT DELETE ROWS;

-- name: copy_spans
COPY span_arrival FROM STDIN;

-- name: keep_spans
INSERT INTO span (tenant_id, arrived_at, trace_id, span_id, name, started_at, parent_id, principal_id, key_id, duration_us,
    status, release, input_tokens, output_tokens, cost_micro_usd, attributes, documents, payload)
SELECT tenant_id, arrived_at, trace_id, span_id, name, started_at, parent_id, principal_id, key_id, duration_us,
    status, release, input_tokens, output_tokens, cost_micro_usd, attributes, documents, payload
  FROM span_arrival ON CONFLICT DO NOTHING;

-- name: tail
SELECT trace_id, request_id, arrived_at, surface, purpose, asked_model, feature, channel, release, provider, model, status,
       error_code, streamed, attempts, input_tokens, cached_input_tokens, output_tokens, is_estimated, cost_micro_usd,
       price_version, total_us, first_byte_us, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
       audio_input_tokens, audio_output_tokens, service_tier, continuations,
       p.name AS principal
  FROM usage u
  LEFT JOIN principal p ON p.tenant_id = u.tenant_id AND p.principal_id = u.principal_id
 WHERE u.tenant_id = %(tenant)s AND (%(everybody)s OR u.principal_id = %(principal)s)
   AND (%(internal)s OR u.surface <> 'internal') AND u.arrived_at > now() - make_interval(hours => %(hours)s)
 ORDER BY arrived_at DESC LIMIT %(most)s;

-- name: usage_of_trace
SELECT trace_id, request_id, arrived_at, surface, purpose, asked_model, feature, channel, release, provider, model, status,
       error_code, streamed, attempts, input_tokens, cached_input_tokens, output_tokens, is_estimated, cost_micro_usd,
       price_version, total_us, admit_us, retrieval_us, render_us, first_byte_us, upstream_us, cache_write_tokens,
       cache_write_1h_tokens, reasoning_tokens, audio_input_tokens, audio_output_tokens, service_tier, continuations
  FROM usage
 WHERE tenant_id = %(tenant)s AND trace_id = %(trace)s AND (%(everybody)s OR principal_id = %(principal)s)
 ORDER BY arrived_at, request_id;

-- name: spans_of_trace
-- `is_readable`: the caller may, in this very moment, read every document whose text the payload may hold.
SELECT s.span_id, s.parent_id, s.name, s.started_at, s.duration_us, s.status, s.release, s.input_tokens, s.output_tokens,
       s.cost_micro_usd, s.attributes, r.is_readable, CASE WHEN r.is_readable THEN s.payload END AS payload
  FROM span s
 CROSS JOIN LATERAL (SELECT NOT EXISTS (
        SELECT FROM unnest(s.documents) AS wanted (document_id)
         WHERE NOT EXISTS (SELECT FROM document d
                            WHERE d.tenant_id = s.tenant_id AND d.document_id = wanted.document_id)) AS is_readable) r
 WHERE s.tenant_id = %(tenant)s AND s.trace_id = %(trace)s AND (%(everybody)s OR s.principal_id = %(principal)s)
 ORDER BY s.started_at, s.duration_us DESC;

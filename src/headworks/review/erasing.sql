-- Taking out of judgements what people wrote of an answer that is erased. Verdicts stay: they name nobody, and gates count them.

-- name: traces
SELECT DISTINCT coalesce(trace_id, substr(subject, 7)::uuid) AS trace FROM judgement
 WHERE tenant_id = %(tenant)s AND content IS NOT NULL
   AND (trace_id IS NOT NULL OR subject ~ '^trace:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')

-- name: forget
UPDATE judgement SET content = NULL
 WHERE tenant_id = %(tenant)s AND content IS NOT NULL
   AND (trace_id = ANY (%(traces)s::uuid[]) OR example = ANY (%(examples)s::text[]) OR subject = ANY (%(subjects)s::text[]))

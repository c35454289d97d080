-- name: next_number
SELECT coalesce(max(number), 0) + 1 FROM proposal WHERE tenant_id = %(tenant)s;

-- name: wait_for_number
SELECT pg_advisory_xact_lock(hashtextextended('proposals of ' || %(tenant)s::text, 7));

-- name: add_proposal
INSERT INTO proposal (tenant_id, proposal_id, number, project_id, state, risk, title, content, made_by)
VALUES (%(tenant)s, %(proposal)s, %(number)s, %(project)s, %(state)s, %(risk)s, %(title)s, %(content)s, %(by)s);

-- name: change_proposal
UPDATE proposal SET title = %(title)s, content = %(content)s, state = %(state)s, risk = %(risk)s, changed_at = now()
 WHERE tenant_id = %(tenant)s AND proposal_id = %(proposal)s AND state IN ('draft', 'open');

-- name: end_proposal
UPDATE proposal SET state = %(state)s, closed_by = %(by)s, closed_at = now()
 WHERE tenant_id = %(tenant)s AND proposal_id = %(proposal)s AND state IN ('draft', 'open');

-- name: not_taken_up
SELECT proposal_id, number, content FROM proposal
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND state = 'accepted' AND NOT is_taken_up ORDER BY number;

-- name: take_up
UPDATE proposal SET is_taken_up = true
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND state = 'accepted' AND NOT is_taken_up;

-- name: drop_releases
DELETE FROM proposal_release WHERE tenant_id = %(tenant)s AND proposal_id = %(proposal)s;

-- name: add_release
INSERT INTO proposal_release (tenant_id, proposal_id, feature, kind, base, digest)
VALUES (%(tenant)s, %(proposal)s, %(feature)s, %(kind)s, %(base)s, %(digest)s);

-- name: releases_of
SELECT feature, kind, base, digest FROM proposal_release
 WHERE tenant_id = %(tenant)s AND proposal_id = %(proposal)s ORDER BY feature, kind;

-- name: find_proposal
SELECT p.proposal_id, p.number, p.project_id, p.state, p.risk, p.content, p.made_by, p.made_at, p.changed_at, p.closed_at,
       coalesce(m.name, 'somebody') AS maker, c.name AS closer
  FROM proposal p
  LEFT JOIN principal m ON m.tenant_id = p.tenant_id AND m.principal_id = p.made_by
  LEFT JOIN principal c ON c.tenant_id = p.tenant_id AND c.principal_id = p.closed_by
 WHERE p.tenant_id = %(tenant)s AND p.number = %(number)s;

-- name: list_proposals
SELECT p.proposal_id, p.number, p.state, p.risk, p.title, p.made_at, p.changed_at, p.closed_at,
       coalesce(m.name, 'somebody') AS maker, c.name AS closer
  FROM proposal p
  LEFT JOIN principal m ON m.tenant_id = p.tenant_id AND m.principal_id = p.made_by
  LEFT JOIN principal c ON c.tenant_id = p.tenant_id AND c.principal_id = p.closed_by
 WHERE p.tenant_id = %(tenant)s AND (%(project)s::uuid IS NULL OR p.project_id = %(project)s)
   AND (p.state <> 'draft' OR p.made_by = %(by)s) AND (%(state)s::text IS NULL OR p.state = %(state)s)
 ORDER BY p.number DESC LIMIT %(most)s;

-- name: add_comment
INSERT INTO proposal_comment (tenant_id, comment_id, proposal_id, content, made_by)
VALUES (%(tenant)s, %(comment)s, %(proposal)s, %(content)s, %(by)s);

-- name: comments_of
SELECT c.comment_id, c.content, c.made_at, coalesce(p.name, 'somebody') AS made_by
  FROM proposal_comment c
  LEFT JOIN principal p ON p.tenant_id = c.tenant_id AND p.principal_id = c.made_by
 WHERE c.tenant_id = %(tenant)s AND c.proposal_id = %(proposal)s ORDER BY c.made_at, c.comment_id;

-- Cards of judges: append-only; the newest of a judge for a metric is the one that counts. Which is the newest its number says, whatever
-- the clock said; a card that the clock says is not made yet was made when it went wrong, and is valid once it is made anew.

-- name: add_card
INSERT INTO judge_card (tenant_id, card_id, project_id, judge, metric, card, is_good, valid_until, made_by)
VALUES (%(tenant)s, %(id)s, %(project)s, %(judge)s, %(metric)s, %(card)s, %(good)s, now() + make_interval(days => %(days)s), %(by)s)

-- name: newest_card
SELECT c.card_id, c.project_id, p.name AS project, c.card, c.made_at, c.valid_until, now() BETWEEN c.made_at - interval '1 hour' AND c.valid_until AS is_valid
  FROM judge_card c JOIN project p ON p.tenant_id = c.tenant_id AND p.project_id = c.project_id
 WHERE c.tenant_id = %(tenant)s AND c.project_id = %(project)s AND c.judge = %(judge)s AND c.metric = %(metric)s
 ORDER BY c.number DESC LIMIT 1

-- name: list_cards
SELECT DISTINCT ON (p.name, c.metric, c.judge)
       c.card_id, c.project_id, p.name AS project, c.card, c.made_at, c.valid_until, now() BETWEEN c.made_at - interval '1 hour' AND c.valid_until AS is_valid
  FROM judge_card c JOIN project p ON p.tenant_id = c.tenant_id AND p.project_id = c.project_id
 WHERE c.tenant_id = %(tenant)s
 ORDER BY p.name, c.metric, c.judge, c.number DESC

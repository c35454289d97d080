-- Cards of judges: append-only; the newest of a judge for a metric is the one that counts.

-- name: add_card
INSERT INTO judge_card (tenant_id, card_id, project_id, judge, metric, card, is_good, valid_until, made_by)
VALUES (%(tenant)s, %(id)s, %(project)s, %(judge)s, %(metric)s, %(card)s, %(good)s, now() + make_interval(days => %(days)s), %(by)s)
RETURNING card_id, project_id, card, is_good, made_at, valid_until, valid_until > now() AS is_valid

-- name: newest_card
SELECT card_id, project_id, card, is_good, made_at, valid_until, valid_until > now() AS is_valid FROM judge_card
 WHERE tenant_id = %(tenant)s AND project_id = %(project)s AND judge = %(judge)s AND metric = %(metric)s
 ORDER BY made_at DESC, card_id DESC LIMIT 1

-- name: list_cards
SELECT DISTINCT ON (metric, judge) card_id, project_id, card, is_good, made_at, valid_until, valid_until > now() AS is_valid
  FROM judge_card WHERE tenant_id = %(tenant)s AND project_id = %(project)s
 ORDER BY metric, judge, made_at DESC, card_id DESC

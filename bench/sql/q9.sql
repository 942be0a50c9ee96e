SELECT u.sessions, u.active, u.seconds, r.registered, 100.0 * u.active / nullif(r.registered, 0) AS engagement,
    s.nps, s.csat, s.ces, t.opened, t.first_contacts, t.rate, t.seconds_to_resolve, m.mrr
FROM (
    SELECT count(*) AS sessions, count(DISTINCT user_id) AS active, avg(duration_seconds) AS seconds
    FROM usage_events
    WHERE account_id = {account} AND occurred_at >= '2025-12-01' AND occurred_at < '2026-01-01'
) u, (
    SELECT count(*) AS registered FROM users WHERE account_id = {account} AND created_at < '2026-01-01'
) r, (
    SELECT 100.0 * (count(*) FILTER (WHERE kind = 'nps' AND score >= 9) - count(*) FILTER (WHERE kind = 'nps' AND score <= 6))
            / nullif(count(*) FILTER (WHERE kind = 'nps'), 0) AS nps,
        avg(score) FILTER (WHERE kind = 'csat') AS csat, avg(score) FILTER (WHERE kind = 'ces') AS ces
    FROM survey_responses
    WHERE account_id = {account} AND responded_at >= '2025-12-01' AND responded_at < '2026-01-01'
) s, (
    SELECT count(*) AS opened,
        count(*) FILTER (WHERE first_contact AND resolved_at IS NOT NULL) AS first_contacts,
        100.0 * count(*) FILTER (WHERE first_contact AND resolved_at IS NOT NULL)
            / nullif(count(*) FILTER (WHERE resolved_at IS NOT NULL), 0) AS rate,
        avg(extract(epoch FROM resolved_at - opened_at)) AS seconds_to_resolve
    FROM tickets
    WHERE account_id = {account} AND opened_at >= '2025-12-01' AND opened_at < '2026-01-01'
) t, (
    SELECT coalesce((
        SELECT mrr_after FROM subscription_changes
        WHERE account_id = {account} AND effective_at < '2026-01-01' ORDER BY effective_at DESC LIMIT 1
    ), 0) AS mrr
) m

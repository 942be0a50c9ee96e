WITH used AS (
    SELECT date_trunc('month', e.occurred_at) AS month, a.plan, count(DISTINCT e.user_id) AS active
    FROM usage_events e JOIN accounts a USING (account_id)
    WHERE e.occurred_at >= '2024-01-01' AND e.occurred_at < '2026-01-01'
    GROUP BY 1, 2
), joined AS (
    SELECT date_trunc('month', u.created_at) AS month, a.plan, count(*) AS users
    FROM users u JOIN accounts a USING (account_id)
    GROUP BY 1, 2
), place AS (
    SELECT month, plan
    FROM generate_series(timestamp '2024-01-01', timestamp '2025-12-01', interval '1 month') AS months(month),
        (SELECT DISTINCT plan FROM accounts) AS plans
), grown AS (
    SELECT p.month, p.plan, sum(coalesce(j.users, 0)) OVER (PARTITION BY p.plan ORDER BY p.month) AS registered
    FROM place p LEFT JOIN joined j ON j.month = p.month AND j.plan = p.plan
)
SELECT g.month, g.plan, u.active, g.registered, 100.0 * u.active / g.registered AS engagement
FROM grown g LEFT JOIN used u ON u.month = g.month AND u.plan = g.plan
ORDER BY 1, 2

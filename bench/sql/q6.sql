WITH moved AS (
    SELECT date_trunc('month', s.effective_at) AS month, a.plan,
        sum(s.mrr_after - s.mrr_before) AS net,
        sum(CASE WHEN s.mrr_before > 0 THEN s.mrr_after - s.mrr_before ELSE 0 END) AS net_of_customers
    FROM subscription_changes s JOIN accounts a USING (account_id)
    GROUP BY 1, 2
), place AS (
    SELECT month, plan
    FROM generate_series(timestamp '2024-01-01', timestamp '2025-12-01', interval '1 month') AS months(month),
        (SELECT DISTINCT plan FROM accounts) AS plans
), filled AS (
    SELECT p.month, p.plan, coalesce(m.net, 0) AS net, coalesce(m.net_of_customers, 0) AS net_of_customers
    FROM place p LEFT JOIN moved m ON m.month = p.month AND m.plan = p.plan
), opened AS (
    SELECT month, plan, sum(net) OVER (PARTITION BY plan ORDER BY month) - net AS opening, net_of_customers
    FROM filled
)
SELECT month, plan, opening, CASE WHEN opening > 0 THEN 100.0 * (opening + net_of_customers) / opening END AS nrr
FROM opened ORDER BY 1, 2

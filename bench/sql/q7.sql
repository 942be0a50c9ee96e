WITH moved AS (
    SELECT date_trunc('month', effective_at) AS month,
        sum(CASE WHEN mrr_before = 0 THEN 1 WHEN mrr_after = 0 THEN -1 ELSE 0 END) AS net,
        sum(CASE WHEN mrr_after = 0 THEN 1 ELSE 0 END) AS churned
    FROM subscription_changes
    GROUP BY 1
), filled AS (
    SELECT months.month, coalesce(m.net, 0) AS net, coalesce(m.churned, 0) AS churned
    FROM generate_series(timestamp '2024-01-01', timestamp '2025-12-01', interval '1 month') AS months(month)
        LEFT JOIN moved m ON m.month = months.month
), opened AS (
    SELECT month, sum(net) OVER (ORDER BY month) - net AS opening, churned FROM filled
)
SELECT month, opening, churned, CASE WHEN opening > 0 THEN 100.0 * churned / opening END AS churn
FROM opened ORDER BY 1

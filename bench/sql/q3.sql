SELECT date_trunc('month', e.occurred_at) AS month, a.plan, avg(e.duration_seconds) AS seconds, count(*) AS sessions
FROM usage_events e JOIN accounts a USING (account_id)
WHERE e.occurred_at >= '2024-01-01' AND e.occurred_at < '2026-01-01'
GROUP BY 1, 2 ORDER BY 1, 2

WITH everybody AS (
    SELECT count(DISTINCT user_id) AS active
    FROM usage_events WHERE occurred_at >= '2025-10-01' AND occurred_at < '2026-01-01'
)
SELECT e.feature_id, count(DISTINCT e.user_id) AS users,
    100.0 * count(DISTINCT e.user_id) / max(everybody.active) AS adoption, max(everybody.active) AS active
FROM usage_events e, everybody
WHERE e.occurred_at >= '2025-10-01' AND e.occurred_at < '2026-01-01'
GROUP BY 1 ORDER BY 1

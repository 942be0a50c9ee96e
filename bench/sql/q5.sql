WITH change AS (
    SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY effective_at) = 1 AS is_first
    FROM subscription_changes
)
SELECT date_trunc('month', effective_at) AS month,
    sum(CASE WHEN mrr_before = 0 AND is_first THEN mrr_after ELSE 0 END) AS new,
    sum(CASE WHEN mrr_before > 0 AND mrr_after > mrr_before THEN mrr_after - mrr_before ELSE 0 END) AS expansion,
    sum(CASE WHEN mrr_after > 0 AND mrr_after < mrr_before THEN mrr_before - mrr_after ELSE 0 END) AS contraction,
    sum(CASE WHEN mrr_after = 0 THEN mrr_before ELSE 0 END) AS churned,
    sum(CASE WHEN mrr_before = 0 AND NOT is_first THEN mrr_after ELSE 0 END) AS reactivated
FROM change
GROUP BY 1 ORDER BY 1

-- Customers at risk, those with the most MRR first, with the component that costs them most points.
SELECT health.account_id, accounts.name, round(health.score, 1) AS score, health.band, health.mrr,
    weakest.title AS weakest, round(weakest.value, 1) AS value
FROM bi.health AS health
JOIN bi.accounts AS accounts USING (account_id)
LEFT JOIN LATERAL (
    SELECT title, value FROM bi.health_components AS own
    WHERE own.account_id = health.account_id AND own.score IS NOT NULL
    ORDER BY own.weight * (100 - own.score) DESC LIMIT 1) AS weakest ON true
WHERE health.is_customer AND health.band IN ('critical', 'at_risk')
ORDER BY health.mrr DESC;

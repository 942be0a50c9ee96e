-- NPS by month and plan: each account is in the group that it was in at the start of the month, as in the API.
SELECT own.month, coalesce(plan.value, '(none)') AS plan,
    round(metrics.scale * sum(own.numerator) / nullif(sum(own.denominator), 0), 1) AS nps
FROM bi.metric_operands AS own
JOIN bi.metrics AS metrics ON metrics.metric = own.metric AND metrics.convention = own.convention
LEFT JOIN bi.account_attributes AS plan ON plan.account_id = own.account_id AND plan.key = 'plan'
    AND coalesce(plan.valid_from, '-infinity') <= own.month AND own.month < coalesce(plan.valid_until, 'infinity')
WHERE own.metric = 'nps' AND metrics.is_default
GROUP BY own.month, plan.value, metrics.scale
ORDER BY own.month, plan;

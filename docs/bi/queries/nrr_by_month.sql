-- Net and gross revenue retention by month, in percent.
SELECT month,
    round(100 * sum(numerator) FILTER (WHERE metric = 'nrr') / nullif(sum(denominator) FILTER (WHERE metric = 'nrr'), 0), 1) AS nrr,
    round(100 * sum(numerator) FILTER (WHERE metric = 'grr') / nullif(sum(denominator) FILTER (WHERE metric = 'grr'), 0), 1) AS grr
FROM bi.metric_operands
JOIN bi.metrics USING (metric, convention)
WHERE metric IN ('nrr', 'grr') AND is_default
GROUP BY month
ORDER BY month;

-- NPS by month, with the number of responses.
SELECT month, round(scale * sum(numerator) / nullif(sum(denominator), 0), 1) AS nps, round(sum(denominator)) AS responses
FROM bi.metric_operands
JOIN bi.metrics USING (metric, convention)
WHERE metric = 'nps' AND is_default
GROUP BY month, scale
ORDER BY month;

SELECT date_trunc('month', s.responded_at) AS month, a.plan,
    100.0 * (count(*) FILTER (WHERE s.score >= 9) - count(*) FILTER (WHERE s.score <= 6)) / count(*) AS nps,
    count(*) AS responses
FROM survey_responses s JOIN accounts a USING (account_id)
WHERE s.kind = 'nps' AND s.responded_at >= '2024-01-01' AND s.responded_at < '2026-01-01'
GROUP BY 1, 2 ORDER BY 1, 2

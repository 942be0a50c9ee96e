SELECT a.industry, 100.0 * count(*) FILTER (WHERE t.first_contact) / count(*) AS rate,
    count(*) FILTER (WHERE t.first_contact) AS first_contacts, count(*) AS resolved
FROM tickets t JOIN accounts a USING (account_id)
WHERE t.resolved_at IS NOT NULL AND t.opened_at >= '2025-01-01' AND t.opened_at < '2026-01-01'
GROUP BY 1 ORDER BY 1

-- Who left in the last twelve months, with the MRR that was lost.
SELECT movements.month, movements.account_id, accounts.name, round(movements.amount, 2) AS mrr_lost
FROM bi.mrr_movements AS movements
JOIN bi.accounts AS accounts USING (account_id)
WHERE movements.kind = 'churned' AND movements.month > (SELECT today - interval '12 months' FROM bi.books)::date
ORDER BY movements.month DESC, movements.amount DESC;

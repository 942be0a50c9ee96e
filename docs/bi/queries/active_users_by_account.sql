-- The accounts with most active users in the last whole month.
SELECT accounts.account_id, accounts.name, accounts.attributes ->> 'plan' AS plan, round(own.value) AS active_users
FROM bi.metric_operands AS own
JOIN bi.accounts AS accounts USING (account_id)
WHERE own.metric = 'active_users' AND own.month = (SELECT date_trunc('month', today::timestamp)::date - interval '1 month' FROM bi.books)::date
ORDER BY own.value DESC, accounts.account_id
LIMIT 50;

-- A test fails if its query returns a row.
select account_id, month from {{ ref('account_months') }} group by account_id, month having count(*) > 1

-- Opening MRR and movements give the closing MRR.
select account_id, month from {{ source('csmetrics', 'mrr_by_month') }}
where abs(opening + new + reactivated + expansion - contraction - churned - closing) > 0.000001

-- A row for each account and month: MRR, active users and NPS beside each other.
with mrr as (
    select * from {{ source('csmetrics', 'mrr_by_month') }}
),

numbers as (
    select
        account_id,
        month,
        max(value) filter (where metric = 'active_users') as active_users,
        max(numerator) filter (where metric = 'nps') as nps_numerator,
        max(denominator) filter (where metric = 'nps') as nps_responses
    from {{ source('csmetrics', 'metric_operands') }}
    where metric in ('active_users', 'nps') and convention = 'default'
    group by account_id, month
)

select
    coalesce(mrr.account_id, numbers.account_id) as account_id,
    coalesce(mrr.month, numbers.month) as month,
    coalesce(mrr.opening, 0) as mrr_opening,
    coalesce(mrr.closing, 0) as mrr_closing,
    coalesce(numbers.active_users, 0) as active_users,
    coalesce(numbers.nps_numerator, 0) as nps_numerator,
    coalesce(numbers.nps_responses, 0) as nps_responses
from mrr
full join numbers on numbers.account_id = mrr.account_id and numbers.month = mrr.month

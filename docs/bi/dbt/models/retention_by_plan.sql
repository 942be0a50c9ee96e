-- Net revenue retention by month and plan. An account is in the group that it was in at the start of the month, as in the API.
select
    own.month,
    coalesce(plan.value, '(none)') as plan,
    sum(own.numerator) as mrr_retained,
    sum(own.denominator) as mrr_opening,
    100 * sum(own.numerator) / nullif(sum(own.denominator), 0) as nrr
from {{ source('csmetrics', 'metric_operands') }} as own
inner join {{ source('csmetrics', 'metrics') }} as metrics
    on metrics.metric = own.metric and metrics.convention = own.convention and metrics.is_default
left join {{ source('csmetrics', 'account_attributes') }} as plan
    on plan.account_id = own.account_id
    and plan.key = 'plan'
    and coalesce(plan.valid_from, '-infinity') <= own.month
    and own.month < coalesce(plan.valid_until, 'infinity')
where own.metric = 'nrr'
group by own.month, plan.value

"""The published examples that were collected, and which of them the service does not answer (yet), and why."""

# Their answers are right.
ADOPT = [
    "mrr-annual-to-monthly-stripe",
    "mrr-quarter-invoice-cm",
    "mrr-killbill-annual-table",
    "mrr-killbill-non-recurring",
    "mrr-polar-2-years",
    "mrr-polar-year",
    "tz-paris-day-buckets",
    "tz-alias-accepted",
    "mrr-trials-inflate-trap",
    "move-chargebee-downgrade",
    "move-chargebee-cancel",
    "move-chargebee-snapshot",
    "move-lago-rollforward",
    "move-bruin-february",
    "move-raisekit-3-months",
    "move-cos-upsell-annual-to-monthly",
    "move-cos-renewal-arr",
    "expansion-upzelo",
    "net-mrr-churn-cm",
    "customer-churn-cm",
    "churn-polar-canceled-vs-ended",
    "churn-polar-yearly",
    "grr-mattermost-renewal-min",
    "retention-cos-half",
    "nrr-pulserevops",
    "ltv-cm",
    "ltv-lifetime",
    "crc-operately",
    "cost-per-user-polar",
    "cac-seed",
    "renewal-upnify",
    "trial-cm-cohort",
    "trial-seed",
    "conversion-metricflow",
    "checkout-conversion-polar",
    "onboarding-80",
    "onboarding-cos-open-only",
    "time-to-onboard-cos",
    "nps-r-single-0",
    "nps-r-single-7",
    "nps-npspy-2",
    "nps-npspy-3",
    "nps-odoo",
    "nps-invalid",
    "nps-ci-forum",
    "nps-ci-adjusted-wald",
    "nps-ci-rule-of-thumb",
    "csat-formbricks-1",
    "csat-formbricks-2",
    "csat-simple-1",
    "survey-funnel",
    "fcr-selvo",
    "fcr-sparrowdesk",
    "fcr-zapscale",
    "adoption-zapscale",
    "session-june",
    "seats-polar",
    "health-vitally-average",
    "health-saastainednumbers",
    "idempotent-same-id-other-body",
    "segment-timestamp",
    "churn-baremetrics-upgrade-then-churn",
    "csat-delighted-2",
    "crc-calculatorshub",
    "rpr-2500-of-10000",
    "adoption-metrickit",
    "retention-rate-seed",
    "identity-rollforward",
]

# Their answers are right where one counts so: by these conventions of ours. Those without one are left out, or the default is
# what they name, and the only way here.
CONVENTIONS: dict[str, tuple[str, ...]] = {
    "mrr-polar-fx": (),
    "move-cos-join-and-upgrade-same-month": (),
    "move-cos-granularity": (),
    "move-cos-up-and-down-same-customer": (),
    "gross-mrr-churn-cm-shopify": (),
    "customer-churn-naive-variants": (
        "all_churn_events",
        "lost_at_any_time",
        "ever_active",
    ),
    "churn-polar-rolling": ("cancellation_click",),
    "grr-cos-one-of-two-ends": (),
    "nps-dismissed": (),
    "nps-scale-maps": (),
    "ces-delighted": ("easy_rate",),
    "ces-formbricks-7": ("mean",),
    "csat-pisano-mean": ("mean_over_range",),
    "segment-overlap-health": (),
}

# Their answers are wrong: published, or shipped once.
TRAPS = [
    "mrr-killbill-submonthly-trap",
    "mrr-polar-fx-missing-trap",
    "move-cos-churn-without-new-trap",
    "expansion-baremetrics-trap",
    "grr-per-customer-vs-aggregate-trap",
    "grr-cos-line-cancelled",
    "retention-cos-minus-100-trap",
    "ltv-zero-churn",
    "nps-decimals",
    "ces-direction-trap",
]
KNOWN = [*ADOPT, *CONVENTIONS, *TRAPS]

# A name `in backticks` is a metric without which there is no answer, `metric?convention=` another way to count it:
# an entry has to go as soon as the catalogue has them.
LEFT_OUT = {
    "mrr-polar-fx": "another product's way: MRR at the average of the rates that a month's payments had; "
    "here a subscription keeps the rate of its first day, so that exchange rates make no movements",
    "move-cos-join-and-upgrade-same-month": "another product's way: one movement for a customer and period; "
    "here one for an account and day, so that days add up to months",
    "grr-cos-one-of-two-ends": "another product's way: it compares with all that there ever was, and a contract that "
    "ended on the first of a month counts through that month",
    "conversion-metricflow": "another product's way: each visit is one that may convert, and a purchase is put to the latest "
    "visit of the seven days before it; here who has entered has entered once, until the goal is reached",
    "health-vitally-average": "comes with `health_score`",
    "health-saastainednumbers": "comes with `health_score`",
    "segment-overlap-health": "another product's setting: weights for each segment; here there is one model of health, "
    "and it comes with `health_score`",
    "segment-timestamp": "not about a metric: a device's clock is corrected where a vendor's webhooks come in, "
    "which is not there yet",
}

# Parts of examples that are checked for the rest.
PARTS_LEFT_OUT = {
    "mrr-polar-year": "how many orders there were, their average value and running sums of revenue are no metrics here",
    "move-cos-granularity": "movements by change and by contract: here they are an account's, which is said of each",
    "move-cos-up-and-down-same-customer": "movements by contract: here they are an account's",
    "gross-mrr-churn-cm-shopify": "the rates of a month's days added up: here a day has a rate, and a month its own",
    "churn-polar-canceled-vs-ended": "how many cancelled is no metric here; the churn rate by that day is checked",
    "nps-scale-maps": "shorter scales are not read as one vendor does, but refused, and that is checked",
    "adoption-metrickit": "how many users are missing to a target: there are no targets yet",
    "survey-funnel": "answers that were begun and given up are no events here",
}

"""The published examples that were collected, which of them the service does not answer yet, and why."""

# Examples whose answers are right.
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

# Examples whose answers are right by these conventions. Those without a convention are left out, or their convention is the
# default here.
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

# Examples whose answers are wrong: they were published, or a product computed them once.
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
COLLECTED = [*ADOPT, *CONVENTIONS, *TRAPS]

# A name in backticks is a metric that the example needs, `metric?convention=` a convention. An entry has to be removed when the
# catalogue has them; a test holds that.
LEFT_OUT = {
    "mrr-polar-fx": "another product's convention: MRR at the average rate of a month's payments; "
    "here a subscription keeps the rate of its first day, so that exchange rates cause no movements",
    "move-cos-join-and-upgrade-same-month": "another product's convention: one movement per customer and period; "
    "here one per account and day, so that days add up to months",
    "grr-cos-one-of-two-ends": "another product's convention: it compares with all contracts ever, and a contract that "
    "ended on the first of a month counts for that month",
    "conversion-metricflow": "another product's convention: every visit may convert, and a purchase belongs to the latest "
    "visit of the seven days before it; here an attempt is entered once, until the goal is reached",
    "segment-overlap-health": "another product's rule: of several segments, the one that was joined last; here the first one "
    "in the list of the model decides, which does not depend on the order of events",
    "segment-timestamp": "not about a metric: it corrects a device's clock when a vendor's webhook is received, "
    "which does not exist yet",
}

# Parts of checked examples that are not checked.
PARTS_LEFT_OUT = {
    "mrr-polar-year": "the number of orders, their average value and cumulated revenue are no metrics here",
    "move-cos-granularity": "movements by change and by contract: here movements are the account's",
    "move-cos-up-and-down-same-customer": "movements by contract: here movements are the account's",
    "gross-mrr-churn-cm-shopify": "the sum of the rates of a month's days: here a day has a rate, and a month has its own",
    "churn-polar-canceled-vs-ended": "the number of cancellations is no metric here; the churn rate by their day is checked",
    "nps-scale-maps": "shorter scales are rejected and not mapped as one vendor does; that is checked",
    "adoption-metrickit": "the number of users missing to a target: there are no targets yet",
    "survey-funnel": "responses that were started and given up are no events here",
}

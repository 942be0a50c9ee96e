"""Reports: answers that are not rows of metrics. Cohorts, score distributions, the onboarding funnel, account overviews."""

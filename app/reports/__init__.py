"""Answers with a shape of their own: cohorts, distributions, the onboarding funnel, account overviews."""

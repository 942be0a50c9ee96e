"""Answers that are more than a row a metric: cohorts, the distribution of scores, an account's card, the funnel."""

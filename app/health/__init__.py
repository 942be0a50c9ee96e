"""Health: a score for every account, from a model of components that are metrics of the account."""

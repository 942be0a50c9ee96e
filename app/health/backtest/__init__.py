"""Back-test: whether the scores of the past, as they were known, predicted who churned afterwards."""

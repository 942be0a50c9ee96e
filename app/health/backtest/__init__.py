"""Back-test: whether the scores of the past, as they were known, told apart who churned afterwards and who did not."""

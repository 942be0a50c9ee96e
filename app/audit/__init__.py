"""What is behind a number: contributors, events, restatements and checks."""

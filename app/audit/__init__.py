"""Audit: what is behind a number (contributors, events), how it changed (restatements), and checks of identities."""

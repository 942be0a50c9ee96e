"""The append-only ledger: what events post, sums over entries, rebuilding and verifying."""

"""The append-only ledger: what an event posts, the sums over it, and the proof that it is right."""

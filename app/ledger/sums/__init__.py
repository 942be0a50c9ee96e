"""Sums of ledger entries, as metrics ask for them."""

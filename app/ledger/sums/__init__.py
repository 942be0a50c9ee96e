"""Sums of ledger entries, as metrics need them."""

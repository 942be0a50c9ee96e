"""Sums of ledger entries by period and group: what every formula is made of, one statement for each kind of operand."""

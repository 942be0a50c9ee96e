"""Presence: the days on which users were active, so that distinct users of any range can be counted.

`keys` says whose presence it is, `day_bits` how days are stored, `changes` what a change of days posts, `shortcuts` how the
frequent changes are computed faster, and `rows` reads and writes the table.
"""

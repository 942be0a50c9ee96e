"""How sentences write the units of numbers."""

# After the number. What is counted, scored or paid has none.
UNIT_SUFFIXES = {"percent": "%", "days": " days", "hours": " hours", "minutes": " minutes", "months": " months"}

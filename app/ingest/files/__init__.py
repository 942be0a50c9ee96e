"""History from files: rows become events by a mapping."""

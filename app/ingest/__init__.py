"""Events in: the catalogue of event types, reading, importing and storing them exactly once."""

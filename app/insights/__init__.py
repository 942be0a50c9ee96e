"""What needs attention: detectors over the metrics, each of which says what it saw, from which numbers, and what to do next."""

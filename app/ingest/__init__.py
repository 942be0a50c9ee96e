"""What comes in: the vocabulary of events, how they are read, imported, and kept exactly once."""

"""The proof of numbers: who and what is behind one, how it was restated, and whether all of them hold together."""

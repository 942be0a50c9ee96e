"""Calls in the language of Segment, as its libraries send them: what they mean, and the way in for them."""

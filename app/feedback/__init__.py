"""What customers say in words: comments, what is done about them, and what they are about."""

"""Import history from files: a mapping says which rows make which events."""

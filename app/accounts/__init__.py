"""The accounts that are measured: attributes, filters and segments."""

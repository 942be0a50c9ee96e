"""The accounts that are measured: their attributes, the filters over them, the segments."""

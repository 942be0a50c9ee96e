"""Stands for pandas, which the environment of developers has and that of a service has not: pyarrow imports it where it can."""

raise ImportError("A service is installed without pandas.")

"""Measure how fast the service is, beside PostgreSQL and DuckDB in the same run.

python -m bench --help
"""

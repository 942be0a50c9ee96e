"""How fast the service is: what it takes in and what it answers, beside PostgreSQL and DuckDB in the same run.

python -m bench --help
"""

"""PostgreSQL: the pool, connections, transactions, tables and migrations."""

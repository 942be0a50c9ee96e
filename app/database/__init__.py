"""PostgreSQL: pool, transactions, connections, statements, tables and migrations."""

"""The embedded PostgreSQL server that runs when DATABASE_URL is not set."""

"""The embedded PostgreSQL, which runs when DATABASE_URL is not set."""

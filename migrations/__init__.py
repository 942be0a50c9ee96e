"""The one chain of migrations, for the embedded server and for any other PostgreSQL."""

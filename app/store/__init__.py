"""The only room that knows the database engine: tables, connections, the embedded server."""

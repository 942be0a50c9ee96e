"""The HTTP server: uvicorn with this service's limits and deadlines, and the middleware around every request."""

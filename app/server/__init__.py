"""The HTTP server: uvicorn, the HTTP protocol with its limits, and the middleware around every request."""

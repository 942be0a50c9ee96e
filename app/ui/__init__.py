"""The page: static files that a browser gets from the service, the sign-in, and the views."""

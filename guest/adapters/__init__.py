"""Applications as they are: ASGI and WSGI."""

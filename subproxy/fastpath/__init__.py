"""The common case of a request, compiled."""

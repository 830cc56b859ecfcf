"""From the host and path of a request to the pool that serves it."""

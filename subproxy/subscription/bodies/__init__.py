"""Bodies over data connections."""

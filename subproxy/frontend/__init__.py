"""Client-facing protocols: bytes to exchange events and back."""

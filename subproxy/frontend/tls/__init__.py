"""TLS in front: certificates by name, handshakes, and what is between a socket and HTTP."""

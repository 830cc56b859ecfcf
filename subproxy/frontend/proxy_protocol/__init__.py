"""The PROXY protocol, in front of whatever a connection speaks."""

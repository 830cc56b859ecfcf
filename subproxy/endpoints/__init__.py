"""AF_VSOCK and emulated-vsock endpoints, and their string parsers."""

"""subproxy: a reverse proxy for applications that subscribe over vsock."""

"""The C{subproxy} command: what an operator asks a running proxy, without Twisted."""

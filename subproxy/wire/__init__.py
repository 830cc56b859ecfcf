"""The wire protocol, version 1: frames, messages and state, without I/O (docs/protocol.md)."""

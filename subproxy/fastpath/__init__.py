"""The common case of a request, compiled: head to frame, frame to head, log and counters."""

"""What is written down and counted: access log, log formats, counters."""

"""Bodies from one socket to the other: copied, or spliced by the kernel."""

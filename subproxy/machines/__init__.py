"""Machines on demand: virtual machines that a request starts."""

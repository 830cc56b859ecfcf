"""Machines on demand."""

"""A program that speaks HTTP, as an application: it is started, watched, and asked."""

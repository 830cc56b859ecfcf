"""A Twisted reactor on io_uring."""

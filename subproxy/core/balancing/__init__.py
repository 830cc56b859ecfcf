"""Which member of a pool serves a request, when, and whether it is tried again."""

"""The guest's side on Twisted."""

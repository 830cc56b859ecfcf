"""Files that others change while we run: read, watched, replaced."""

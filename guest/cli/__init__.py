"""What C{python -m guest} reads and loads."""

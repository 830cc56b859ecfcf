"""How many small changes of the code the unit tests notice: C{python -m tools.mutation PATH...}."""

"""How the tests are run: in which groups, side by side where they may be, with a summary always."""

"""Bodies: the portable copy and the zero-copy splice, behind one interface."""

"""One parent, several workers: what they say to each other, and who is replaced when."""

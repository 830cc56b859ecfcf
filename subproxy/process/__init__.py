"""This process and its system: signals, descriptors, memory, supervisor, upgrade."""

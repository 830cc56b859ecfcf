"""What an operator sets: command line and policy file."""

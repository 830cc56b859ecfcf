"""Who may do what, and how often: policy, epochs, penalties, rates."""

"""The guest's side without a framework."""

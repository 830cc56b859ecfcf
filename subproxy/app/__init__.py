"""Services, and how they are put together."""

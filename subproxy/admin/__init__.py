"""What operators see: metrics, health, routes, drain."""

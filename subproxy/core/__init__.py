"""Exchange, routing, balancing and admission: decisions without I/O and without a clock."""

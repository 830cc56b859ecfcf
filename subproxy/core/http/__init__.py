"""What is true of HTTP in every version: fields, normal forms, forwarding, responses."""

"""What another process of the proxy asks of this one's guests, in frames of the wire."""

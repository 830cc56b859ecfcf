"""HTTP/2 on the wire (RFC 9113, RFC 7541): frames, streams, windows, and the shell around them."""

"""TLS without a socket, for every kind of connection."""

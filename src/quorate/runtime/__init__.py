"""Driver one, the real world: a server on an event loop, and a node inside the caller's thread."""

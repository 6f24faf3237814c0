"""A node inside the caller's thread, in a folder or in memory, and the connection to it."""

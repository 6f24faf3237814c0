"""What strangers may send to a node's port before they have logged in: drawn at random, and held against the node."""

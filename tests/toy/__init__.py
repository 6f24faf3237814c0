"""A replication that is not ours: a set that only grows, kept by nodes none of which leads."""

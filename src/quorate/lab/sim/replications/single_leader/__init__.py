"""The single leader, seen by somebody who sees all replicas at once."""

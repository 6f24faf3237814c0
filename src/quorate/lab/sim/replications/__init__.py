"""What the simulator knows of the inside of each replication: its invariants, and faults at its weak moments."""

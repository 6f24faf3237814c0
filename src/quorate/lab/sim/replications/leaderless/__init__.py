"""What the simulator knows of databases without a leader: what callers do with one, its probe, and who looks on."""

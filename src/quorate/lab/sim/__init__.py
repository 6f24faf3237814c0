"""The deterministic simulator: whole nodes on virtual time, every choice from one seed."""

"""What simulated clients do, and what their answers mean for the judges."""

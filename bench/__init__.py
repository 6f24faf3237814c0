"""Measurements against peers and against the machine's limits, as ratios within one run."""

"""Injects faults into real processes under load and measures what they cost; for the demo and the campaigns."""

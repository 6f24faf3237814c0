"""The named mixes of dials, and what a run can vary."""

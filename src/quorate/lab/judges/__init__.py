"""Judges read histories and nothing of ours. Verdicts: ok, broken, unknown."""

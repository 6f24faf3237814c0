"""Judges read histories of what callers saw and say whether a promise was kept. They know nothing of ours."""

"""Versioned rows: several replicas write at once, and what they hold converges whatever arrives when."""

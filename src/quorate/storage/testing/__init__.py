"""A disk in memory under real SQLite, which can lose what was not synced."""

"""Ordinary SQLite files: reading, writing and running them, for import, export and the fuzzer."""

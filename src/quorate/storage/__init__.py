"""The only room that knows SQLite: logs, data files, snapshots, and the in-memory fake."""

"""Versioned tables: the versions of rows, kept beside the rows that users see."""

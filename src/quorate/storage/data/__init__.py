"""The data file of one replica: who writes it, who reads it, and what it remembers beside the users' tables."""

"""The laboratory: driver two (a simulator that runs nodes on virtual time) and the judges of what callers saw."""

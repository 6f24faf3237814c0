"""Driver two: the same cores on virtual time, from one seed."""

"""Many runs: the table of faults, shrinking, double runs, and what they report."""

"""The row format: capturing what a batch changed, and applying it elsewhere."""

"""`log.db` and `lost.db`: the entries of every group of a node, and the tails that failovers lost."""

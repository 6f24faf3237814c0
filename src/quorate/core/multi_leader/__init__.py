"""Several leaders of one database: each leads a group of `core.single_leader`, and takes what the others wrote."""

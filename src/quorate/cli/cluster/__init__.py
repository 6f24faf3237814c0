"""Commands on nodes, members and leadership."""

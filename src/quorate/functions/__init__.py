"""Functions of SQL that every node and every folder has, beside SQLite's own. They import no framework."""

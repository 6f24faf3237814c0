"""What keeps the data of simulated nodes: the model of SQLite, and real SQLite on a simulated disk."""

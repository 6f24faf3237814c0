"""Space-time diagrams: who sent what when, on one page that needs nothing but a browser."""

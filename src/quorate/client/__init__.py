"""What a program uses to talk to a database: routing, retries, cursors, errors."""

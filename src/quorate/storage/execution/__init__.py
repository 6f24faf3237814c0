"""Running what callers ask: requests, statements and scripts of transactions, each isolated from the others."""

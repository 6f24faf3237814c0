"""Who may do what: users, tokens, roles, and the decision about each request. Pure; storage and wire are elsewhere."""

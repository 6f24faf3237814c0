"""Pure helpers that look at SQL text."""

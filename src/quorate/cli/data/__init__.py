"""Commands on databases and what is in them."""

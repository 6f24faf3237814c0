"""Sessions of web applications: middleware that carries bookmarks from request to request. Imports no framework."""

"""An embedded node for the tasks of an event loop: its calls run in threads."""

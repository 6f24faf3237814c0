"""What the simulator knows of databases with several leaders."""

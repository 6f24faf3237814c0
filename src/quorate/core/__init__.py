"""The protocols, pure: no clock, no dice, no input or output. Start reading at `kernel`."""

"""The protocols, pure: no clock, no random numbers, no input or output. Start reading at `kernel`."""

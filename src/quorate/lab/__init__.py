"""The laboratory: a simulator that drives the real cores, and judges that read histories."""

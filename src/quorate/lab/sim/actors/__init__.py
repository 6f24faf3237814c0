"""Those who act on a simulated cluster beside its clients: operators, movers, and faults with an aim."""

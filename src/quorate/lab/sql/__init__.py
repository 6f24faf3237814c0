"""Random schemas and random statements, drawn from a random number generator alone.

Nothing here runs SQL or knows apsw: `draw.Drawer` keeps a `shape.Catalog` of what a database should hold and gives
statements for it; whoever runs them tells which worked (`Catalog.learn`). The fuzzer (`lab.fuzz`) and the simulator's
clients (`lab.sim`) draw from it. How often what is drawn stands in one table, `weights`.
"""

"""Everything that goes wrong on purpose: one declaration for each kind of fault, gathered in `registry`, and the
injector that has them strike."""

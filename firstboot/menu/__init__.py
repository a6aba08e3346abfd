"""The menu: everything that an owner does with the machine, one key each."""

"""`mailstead user`, `domain` and `alias`: who there is, and what opens their mail."""

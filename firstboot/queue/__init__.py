"""The mail queue: what waits to be delivered, why, and what to do about it."""

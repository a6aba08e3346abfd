"""The web front of setup: one page a step, over HTTPS, without a script, until setup is done."""

"""Restarting the machine, and switching it off."""

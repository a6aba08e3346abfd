"""Upgrades: from a published release to a slot that runs, or back to the one before."""

"""Boots an appliance image and waits until it is ready: `forge boot`, `forge try`, boot tests."""

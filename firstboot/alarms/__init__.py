"""Telling the owner what the services want to be known at once."""

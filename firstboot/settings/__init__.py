"""Showing, checking and changing settings on a machine that is set up."""

"""SSH, as a way to the menu from afar."""

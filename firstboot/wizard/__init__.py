"""The wizard: asks the questions of setup, and hands over the settings that come of them."""

"""The wizard on a terminal: screens where it can, plain prompts where it cannot."""

"""The questions of setup, as data: what a terminal, a browser and `tools/forge seed` all ask."""

"""The Python that ships in the operating system: command `mailstead`.

Imports go one way: base ← system ← features (setup, checks) ← cli.
"""

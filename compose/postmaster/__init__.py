"""Mailstead's own mail services: `directory` answers who is who, `mailstore` keeps the mail.

The package shares nothing with the appliance's Python but the file `settings.yaml`.
"""

__version__ = "0.1.0"

"""`mailstead user`: people's passwords, app passwords and recovery codes."""

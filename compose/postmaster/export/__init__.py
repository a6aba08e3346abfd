"""Everything that a person has here as one ZIP file, made while it is being read."""

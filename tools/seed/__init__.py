"""Seeds: settings files for machines that are yet to be set up."""

"""The restore drill: a backup and its recovery kit become a machine, and a report."""

"""Setting the machine up anew."""

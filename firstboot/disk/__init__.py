"""What protects the state partition, and its recovery key."""

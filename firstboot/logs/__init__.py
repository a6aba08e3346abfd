"""What the machine and its services wrote down."""

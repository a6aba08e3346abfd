"""One terminal of the machine: what somebody finds there who presses a key."""

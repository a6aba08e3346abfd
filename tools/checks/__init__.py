"""`forge test`: all the tests, through pytest."""

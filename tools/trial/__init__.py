"""`forge try`: everything once, from the checkout to a mail that was sent and read."""

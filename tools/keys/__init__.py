"""`forge keys`: the private keys that make an image one of ours, and everything that uses them."""

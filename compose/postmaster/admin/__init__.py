"""The `admin` service: web pages on which people look after themselves. It holds no key."""

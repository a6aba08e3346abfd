"""A message as bytes with a shape: header fields, addresses, MIME parts and where they lie.

Everything here takes any bytes at all and never raises on a malformed message: what cannot be
understood is text, or empty. The standard library's parser is not used since it neither keeps
byte offsets nor survives every hostile message.
"""

"""What the host must have before anything can be built: packages, mkosi, keyrings, room, a cache.

Everything here is standard library only, since tools/forge uses it before its virtual environment
exists.
"""

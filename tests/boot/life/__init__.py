"""The life of one machine, told in the order of the files: each test goes on where the last ended.

A boot under emulation takes minutes, so that what needs the same machine shares it. When a test in
the middle fails, those after it may, too: look at the first. What `tests/lanes.py` puts into
another lane begins with a new machine there.
"""

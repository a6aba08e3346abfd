"""The containers on a Docker engine: one stack for all tests here.

It is a package so that the stack ends with the last of them, and not when its lane has booted the
machines that come after it.
"""

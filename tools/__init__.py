"""The part of Mailstead that never ships: it builds, boots, tests and inspects images on a host."""

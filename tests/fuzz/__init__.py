"""Fuzzing of every parser that hostile bytes reach: targets, their corpus, and a runner."""

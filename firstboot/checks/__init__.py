"""Feature: how the machine is (`mailstead status`), and whether it is well (`mailstead check`)."""

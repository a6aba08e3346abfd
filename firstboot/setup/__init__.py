"""Feature: from power-on to a running stack (`mailstead boot`, `mailstead start`)."""

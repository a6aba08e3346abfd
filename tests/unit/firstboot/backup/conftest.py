"""Fixtures: a machine with mail, and a disk beside it for backups."""

from __future__ import annotations

from tests.unit.firstboot.backup.appliance import appliance, state

__all__ = ["appliance", "state"]

"""Fixtures: a machine with mail, and a disk beside it for backups."""

from __future__ import annotations

import os

import pytest

from tests.unit.firstboot.backup.appliance import appliance, state

__all__ = ["appliance", "state"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk does not matter where no power goes; a busy host takes seconds for it."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(os, "sync", lambda: None)

"""The documentation against the code, where a figure stands in both."""

from __future__ import annotations

import re

from tools.boot.appliance import declared
from tools.build.source import CHECKOUT
from tools.cli import forge

DOCS = CHECKOUT / "docs"


def test_architecture_lists_the_declared_ports() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\d+) \| ([\w-]+) \| ([\w-]+) \|", text, re.MULTILINE)
    services = {
        port.name: service.name for service in declared().services for port in service.ports
    }
    wanted = {(str(port.published), port.name, services[port.name]) for port in declared().ports}
    assert set(table) == wanted


def test_every_verb_is_documented() -> None:
    text = (DOCS / "forge.md").read_text(encoding="utf-8")
    assert [verb for verb in forge.commands if f"`{verb}" not in text] == []

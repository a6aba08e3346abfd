"""Every path below /state that the code names, found in the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from firstboot.base.paths import Paths
from firstboot.base.services import SPECIAL_SECRETS, read_stack
from firstboot.disk.places import Places

CHECKOUT = Path(__file__).parents[2]
# Attributes and variables that name /state or a folder of it, and which one.
ROOTS = {
    "state_partition": "",
    "state": "mail",
    "updates": "updates",
    "backup": "backup",
    "restore": "restore",
}


def places() -> frozenset[str]:
    """Every path below /state that something in the checkout names, relative to it."""
    return frozenset({*_properties(), *_expressions(), *_of_services(), *_of_image()} - {""})


def _properties() -> Iterator[str]:
    """Those of Paths and Places."""
    for owner in (Paths(), Places()):
        named = {field.name for field in fields(owner)}
        named |= {name for name, value in vars(type(owner)).items() if isinstance(value, property)}
        for name in named:
            value = getattr(owner, name)
            if isinstance(value, Path) and value.is_relative_to(Paths().state_partition):
                yield value.relative_to(Paths().state_partition).as_posix().removeprefix(".")


def _expressions() -> Iterator[str]:
    """Those made with `/` from a root, `paths.state / "tls"`, and those written out in full."""
    for file in (CHECKOUT / "firstboot").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp):
                root, steps = _steps(node)
                if steps and root in ROOTS:
                    yield "/".join(filter(None, [ROOTS[root], *steps]))
            elif isinstance(node, ast.Constant) and str(node.value).startswith("/state/"):
                yield str(node.value).removeprefix("/state/")


def _steps(node: ast.expr) -> tuple[str, list[str]]:
    """What `a / "b" / c` begins with, and what follows as far as it is texts."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return str(getattr(node, "attr", getattr(node, "id", ""))), []
    root, steps = _steps(node.left)
    if not isinstance(node.right, ast.Constant):
        return "", steps
    return root, [*steps, str(node.right.value)]


def _of_services() -> Iterator[str]:
    for service in read_stack(CHECKOUT / "compose" / "services.yaml").services:
        yield from (f"mail/{service.name}/{volume.folder}" for volume in service.volumes)
        yield from (f"mail/secrets/{name}" for name in set(service.secrets) - SPECIAL_SECRETS)


def _of_image() -> Iterator[str]:
    """Those in the scripts and units of the image; `.new` is one that is being written."""
    for file in (CHECKOUT / "images").rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            for name in re.findall(r"(?:\$state|/state)/([a-z][\w/-]*(?:\.\w+)*)", text):
                yield name.removesuffix(".new").rstrip("/")

"""cloud-init user data as a carrier of settings: what a hosting company hands to a new machine.

It is either the settings themselves, or a `#cloud-config` with a key `mailstead`. Only that is
looked at: nothing of cloud-init runs here. For the formats see "User-data formats" in its
documentation.
"""

from __future__ import annotations

import re

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

HEADER = "#cloud-config"
KEY = "mailstead"


def find_settings(text: str) -> str | None:
    """The text of the settings in user data, None when it is for somebody else.

    Each line is where it was, so that messages name the right ones. What is no YAML at all, but
    has our key, is returned as it is, for the reader of settings to complain about.
    """
    if text.split("\n", 1)[0].rstrip() != HEADER:
        return (
            text
            if re.search(r"^(version|hostname):", text, re.MULTILINE) and _is_settings(text)
            else None
        )
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text if re.search(rf"^{KEY}:", text, re.MULTILINE) else None
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key, ScalarNode) and key.value == KEY:
            return _cut(text, value)
    return None


def _is_settings(text: str) -> bool:
    """Whether it can be meant for us: no script, and no archive of several parts."""
    return not text.startswith(("#!", "Content-Type:", "MIME-Version:", "## template:"))


def _cut(text: str, node: Node) -> str:
    """The text of a node, moved to the left, with as many lines before it as there were."""
    start, end = node.start_mark, node.end_mark
    indent = " " * start.column
    first, *rest = text[start.index : end.index].split("\n")
    moved = [line.removeprefix(indent) if line.startswith(indent) else line for line in rest]
    if isinstance(node, MappingNode) and not node.flow_style:
        return "\n" * start.line + "\n".join((first, *moved)).rstrip() + "\n"
    return "\n" * start.line + "\n".join((first, *rest)).rstrip() + "\n"

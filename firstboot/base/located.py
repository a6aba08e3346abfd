"""YAML with line numbers: plain values, where each of them stands, and every problem at once.

The files are written by people in a plain editor, so anything that YAML would silently turn into
something else is refused: repeated keys, anchors and aliases, tags, dates and fractions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_CHARACTERS = 1_000_000

# Lists become tuples, which is what the frozen models hold.
Plain: TypeAlias = "str | int | bool | tuple[Plain, ...] | dict[str, Plain] | None"
Place: TypeAlias = "tuple[str | int, ...]"

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_HASH = re.compile(r"\$[0-9a-z-]{1,16}\$\S*")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: at which 1-based line, at which key, and what was expected."""

    line: int
    place: Place
    text: str
    # Nothing stands there; all that does stand may be right.
    missing: bool = False

    def show(self, source: str) -> str:
        """`source:line: key: text`, without control characters, and without password hashes."""
        key = place_name(self.place)
        line = f"{source}:{self.line}: {key + ': ' if key else ''}{self.text}"
        line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        return _HASH.sub("<hash>", line)


@dataclass
class Located:
    """A document being read: its value, the line of each place in it, its problems so far."""

    value: Plain = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def add(
        self, place: Place, text: str, *, line: int | None = None, missing: bool = False
    ) -> None:
        self.problems.append(Problem(line or self.line(place), place, text, missing))

    def wrong(self, place: Place) -> bool:
        """Whether a problem is known at this place or below it."""
        return any(problem.place[: len(place)] == place for problem in self.problems)

    def shown(self, source: str) -> list[str]:
        """All problems in the order of the file, each one once."""
        ordered = sorted(self.problems, key=lambda problem: problem.line)
        return list(dict.fromkeys(problem.show(source) for problem in ordered))


def read_located(text: str) -> Located:
    """Read one YAML document. Never raises: what is wrong is in `problems`."""
    document = Located()
    if len(text) > MAX_CHARACTERS:
        document.add((), f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
        return document
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            document.add((), "expected keys and values, got an empty file")
            return document
        document.value = _Walk(document).value(node, ())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.add((), "expected readable text, got a control character", line=line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        line = mark.line + 1 if mark else 1
        document.add((), f"expected well-formed YAML, got: {what}", line=line)
    except (yaml.YAMLError, ValueError):
        document.add((), "expected well-formed YAML")
    except RecursionError:
        document.add((), "expected a few levels of nesting, got far too many")
    return document


def place_name(place: Place) -> str:
    """('people', 0, 'name') → `people[0].name`; the first item of a list is 0, as in jq."""
    name = ""
    for part in place:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


class _Walk:
    """Turns composed nodes into plain values, noting lines and problems in the document."""

    def __init__(self, document: Located) -> None:
        self.document = document
        self.seen: set[int] = set()

    def value(self, node: Node, place: Place) -> Plain:
        self.document.lines.setdefault(place, _line(node))
        if id(node) in self.seen:
            self._add(node, place, "expected the value itself, got an alias (*name)")
            return None
        self.seen.add(id(node))
        readers: dict[type[Node], Callable[[Node, Place], Plain]] = {
            ScalarNode: self._scalar,
            SequenceNode: self._sequence,
            MappingNode: self._mapping,
        }
        return readers[type(node)](node, place)

    def _scalar(self, node: Node, place: Place) -> Plain:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in {"yes", "true", "on"}
            case "int" if _INTEGER.fullmatch(text):
                return int(text)
            case "int" | "float" | "timestamp" | "merge" | "value":
                self._add(node, place, f"expected text in quotes or a whole number, got {text}")
            case _:
                self._add(node, place, f"expected no tag, got {node.tag}")
        return None

    def _sequence(self, node: Node, place: Place) -> Plain:
        self._plain_tag(node, place, "seq")
        return tuple(self.value(item, (*place, index)) for index, item in enumerate(node.value))

    def _mapping(self, node: Node, place: Place) -> Plain:
        self._plain_tag(node, place, "map")
        result: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, ScalarNode) or not isinstance(key, str):
                self._add(key_node, place, "expected a simple key, got a list or mapping as key")
                continue
            below = (*place, key)
            if key in result:
                first = self.document.lines[below]
                self._add(key_node, below, f"expected each key once, got it again (line {first})")
                continue
            self.document.lines[below] = _line(key_node)
            result[key] = self.value(value_node, below)
        return result

    def _plain_tag(self, node: Node, place: Place, kind: str) -> None:
        if node.tag != _TAG + kind:
            self._add(node, place, f"expected no tag, got {node.tag}")

    def _add(self, node: Node, place: Place, text: str) -> None:
        self.document.add(place, text, line=_line(node))


def _line(node: Node) -> int:
    mark = node.start_mark
    return int(mark.line) + 1 if mark is not None else 1

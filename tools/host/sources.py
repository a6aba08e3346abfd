"""Reads the host's own apt sources, so that no archive's address stands in this project.

Formats: sources.list(5), both the one-line style and deb822. Nothing is written here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.run import run
from tools.host.system import Distribution

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)$")
_NO = frozenset({"no", "false", "off", "0", "without", "disable"})
_GENERIC_SUITES = frozenset({"stable", "oldstable", "testing", "unstable", "sid"})


@dataclass(frozen=True)
class Archive:
    """An archive for binary packages: `uri` holds `dists/`.

    `signed_by` is the value of deb822's Signed-By as it stood there: a path, fingerprints, or a
    whole key of several lines; None where the host relies on the keys that all archives share.
    """

    uri: str
    signed_by: str | None


@dataclass(frozen=True)
class Source:
    """One archive, suite and its components, as a host's sources name them."""

    archive: Archive
    suite: str
    components: tuple[str, ...]


def host_sources() -> list[Source]:
    """All sources of this host, from where its apt looks for them."""
    output = run(
        ["apt-config", "shell", "FILE", "Dir::Etc::sourcelist/f", "DIR", "Dir::Etc::sourceparts/d"]
    ).stdout
    where = dict(word.split("=", 1) for word in shlex.split(output))
    return read_sources(Path(where["FILE"]), Path(where["DIR"]))


def read_sources(main: Path, parts: Path) -> list[Source]:
    """The sources in the file `main` and in the `*.list` and `*.sources` files of `parts`."""
    files = [main, *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    found: list[Source] = []
    for file in files:
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            found += parse_deb822(text) if file.suffix == ".sources" else parse_one_line(text)
    return found


def parse_one_line(text: str) -> list[Source]:
    """`deb [signed-by=…] URI suite component…`, one a line; what is not such a line is skipped."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if not match or match["uri"].startswith("cdrom:"):
            continue
        options = dict(
            option.split("=", 1) for option in (match["options"] or "").split() if "=" in option
        )
        suite, *components = match["rest"].split()
        archive = Archive(match["uri"], options.get("signed-by", "").replace(",", " ") or None)
        found.append(Source(archive, suite, tuple(components)))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Stanzas with Types, URIs, Suites, Components, Signed-By and Enabled."""
    found = []
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in _NO:
            continue
        components = tuple(fields.get("components", "").split())
        signed_by = fields.get("signed-by") or None
        found += [
            Source(Archive(uri, signed_by), suite, components)
            for uri in fields.get("uris", "").split()
            if not uri.startswith("cdrom:")
            for suite in fields.get("suites", "").split()
        ]
    return found


def find_archive(
    sources: Iterable[Source], host: Distribution, *, security: bool = False
) -> Archive | None:
    """The archive of the distribution itself among what else `sources` name, None if there is none.

    With `security` the one that carries its security updates. Archives of others often use the same
    suite and component; what tells them apart is the key that they are signed with.
    """
    ranked = [
        (_rank(source, host), -index, source.archive)
        for index, source in enumerate(sources)
        if "main" in source.components and _is_wanted(source.suite, host, security=security)
    ]
    return max(ranked)[2] if ranked else None


def _is_wanted(suite: str, host: Distribution, *, security: bool) -> bool:
    names = _GENERIC_SUITES | {host.codename}
    if security:
        return suite.removesuffix("-security") in names and suite.endswith("-security")
    return suite in names


def _rank(source: Source, host: Distribution) -> tuple[bool, bool, bool, bool]:
    signed_by = source.archive.signed_by
    return (
        f"{host.name}-archive-keyring" in (signed_by or ""),
        signed_by is None,
        source.suite.startswith(host.codename),
        host.name in source.archive.uri.rstrip("/").rpartition("/")[2],
    )


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Fields by lower-case name. Continued lines stay lines: a key block needs them."""
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line
        else:
            key, _, value = line.partition(":")
            name = key.strip().lower()
            fields[name] = value.strip()

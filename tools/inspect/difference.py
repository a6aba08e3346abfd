"""What differs between two images, in the terms in which people ask: packages, containers, boot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.inspect.image import Inspection


@dataclass(frozen=True)
class Changes:
    """What became of the entries of a mapping; `changed` has old and new value."""

    added: Mapping[str, str]
    removed: Mapping[str, str]
    changed: Mapping[str, tuple[str, str]]

    @classmethod
    def between(cls, old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
        """The changes that make `new` of `old`."""
        return cls(
            added={name: new[name] for name in sorted(new.keys() - old.keys())},
            removed={name: old[name] for name in sorted(old.keys() - new.keys())},
            changed={
                name: (old[name], new[name])
                for name in sorted(new.keys() & old.keys())
                if old[name] != new[name]
            },
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def to_json(self) -> dict[str, Any]:
        """The changes as `--json` prints them."""
        return {
            "added": dict(self.added),
            "removed": dict(self.removed),
            "changed": {
                name: {"from": old, "to": new} for name, (old, new) in self.changed.items()
            },
        }


@dataclass(frozen=True)
class Difference:
    """What makes one image of another.

    `facts` are version, base and the like, `containers` manifest digests by name. The root hash is
    in none of them, nor in the words of the kernel's command line: `same_root` says whether it is
    the same, and with it every byte of the operating system.
    """

    against: str
    same_root: bool
    facts: Changes
    packages: Changes
    containers: Changes
    words_added: tuple[str, ...]
    words_removed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object `difference` in what `--json` prints."""
        return {
            "against": self.against,
            "same_root": self.same_root,
            "facts": self.facts.to_json(),
            "packages": self.packages.to_json(),
            "containers": self.containers.to_json(),
            "command_line": {
                "added": list(self.words_added),
                "removed": list(self.words_removed),
            },
        }


def compare(old: Inspection, new: Inspection) -> Difference:
    """The difference from `old` to `new`."""
    before, after = _words(old), _words(new)
    return Difference(
        against=str(old.path),
        same_root=old.uki.root_hash == new.uki.root_hash,
        facts=Changes.between(_facts(old), _facts(new)),
        packages=Changes.between(old.packages, new.packages),
        containers=Changes.between(_containers(old), _containers(new)),
        words_added=tuple(word for word in after if word not in before),
        words_removed=tuple(word for word in before if word not in after),
    )


def _facts(image: Inspection) -> dict[str, str]:
    return {
        "version": image.release.version,
        "distribution": image.distribution,
        "commit": image.release.commit,
        "keys": image.release.keys,
        "kernel": image.uki.kernel,
        "bytes": str(image.bytes),
        "uki_bytes": str(image.uki.bytes),
    }


def _containers(image: Inspection) -> dict[str, str]:
    return {name: found.manifest for name, found in image.release.images.items()}


def _words(image: Inspection) -> list[str]:
    own = f"roothash={image.uki.root_hash}"
    return [word for word in image.uki.command_line.split() if word != own]

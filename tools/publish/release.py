"""Publishes a slot as a release, or gives one that was a candidate to everybody."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from firstboot.base.errors import ReleaseError
from firstboot.base.manifest import (
    FORMAT,
    Channel,
    Envelope,
    Manifest,
    ReleaseKey,
    dump_envelope,
    dump_manifest,
    parse_envelope,
    parse_manifest,
    version_key,
)
from firstboot.base.signature import open_envelope
from tools.build.slot import Slot
from tools.build.source import rfc3339
from tools.host.cache import require_space
from tools.host.report import Say
from tools.keys.release import verify
from tools.publish.errors import PublishError
from tools.publish.folder import (
    ENVELOPE,
    Published,
    adding,
    announce,
    prune,
    publishing,
    read_envelope,
    read_published,
    working,
)
from tools.publish.parts import make_parts
from tools.publish.transfer import file_sha256

# Beside a slot's new parts: an old part, the part as a delta makes it, the delta, and what is kept.
_SPACE_FACTOR = 4


class Signer(Protocol):
    """Keys that sign releases, and the public keys by which their signatures are known."""

    @property
    def trusted(self) -> tuple[ReleaseKey, ...]: ...

    def sign(self, manifest_text: str) -> Envelope:
        """The manifest in an envelope with signatures over it."""


def publish_slot(
    slot: Slot,
    to: Path,
    *,
    keys: Signer,
    base: str,
    built: str,
    channel: Channel,
    notes: str,
    not_before: str | None,
    minimum_version: str | None,
    state_format: int,
    keep: int = 4,
    report: Say,
) -> Manifest:
    """Publish a slot into the directory `to`, and remove the versions whose time is over.

    `built` and `not_before` are RFC 3339; None is now. `minimum_version` None is the oldest version
    that is published, or this one. Raises PublishError when the release does not fit what is there,
    ReleaseError when a value is not fit for a manifest, SpaceError without room. Whatever is
    raised, readers see what they saw before.
    """
    with publishing(to) as published:
        require_newer(published, slot.version, channel)
        draft = _draft(
            version=slot.version,
            base=base,
            channel=channel,
            built=built,
            not_before=not_before or rfc3339(int(time.time())),
            minimum_version=minimum_version or _oldest(published, slot.version),
            state_format=state_format,
            notes=notes,
        )
        _require_room(published, slot)
        with adding(to, slot.version) as folder, working(to, slot.version) as work:
            parts = make_parts(slot, published, folder, work, report)
            manifest = draft.model_copy(update={"parts": parts})
            envelope = keys.sign(dump_manifest(manifest))
            _check_readable(envelope)
            (folder / ENVELOPE).write_bytes(dump_envelope(envelope))
            (folder / ENVELOPE).chmod(0o644)
        announce(to, envelope)
        report(f"Published {slot.version} as {channel} in {to}.")
        _prune(to, keep, report)
    return manifest


def promote(to: Path, version: str, *, keys: Signer, keep: int = 4, report: Say) -> Manifest:
    """Make a published candidate the stable release: the same files under a newly signed manifest.

    Its former signature is verified first, and every file that it names. Done already is fine.
    Raises PublishError or ReleaseError.
    """
    with publishing(to) as published:
        former = published.releases.get(version)
        if former is None:
            raise PublishError(
                f"{version} is not published in {to}",
                f"Published are: {', '.join(published.versions) or 'none'}.",
            )
        if (stable := published.heads.get("stable")) and stable.version == version:
            report(f"{version} is the stable release already.")
            _prune(to, keep, report)
            return stable
        require_newer(published, version, "stable")
        path = to / version / ENVELOPE
        former = open_envelope(read_envelope(path), keys.trusted, verify, str(path))
        if former.version != version:
            raise PublishError(f"{path} is that of version {former.version}")
        report(f"Checking the files of {version} …")
        _require_files(to, former)
        manifest = former.model_copy(update={"channel": "stable"})
        announce(to, keys.sign(dump_manifest(manifest)))
        report(f"{version} is the stable release in {to} now.")
        _prune(to, keep, report)
    return manifest


def require_newer(published: Published, version: str, channel: Channel) -> None:
    """PublishError unless `version` is newer than everything in `channel`; ReleaseError for none.

    Machines refuse to go back, so a release that is not newer would reach nobody.
    """
    version_key(version)
    if not published.is_newer(version, channel):
        raise PublishError(
            f"{version} is not newer than {published.heads[channel].version}, "
            f"the {channel} release in {published.folder}",
            "Raise the version in pyproject.toml.",
        )


def _draft(**values: object) -> Manifest:
    """The manifest without its parts, so that wrong values are told before the long work."""
    try:
        draft = Manifest.model_validate({"format": FORMAT, "parts": (), **values})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(step) for step in first["loc"])
        raise ReleaseError(f"{name} {first['input']!r}: {first['msg']}") from None
    if version_key(draft.minimum_version) > version_key(draft.version):
        raise PublishError(
            f"the minimum version {draft.minimum_version} is newer than the release "
            f"{draft.version} itself"
        )
    return draft


def _oldest(published: Published, version: str) -> str:
    older = published.older(version)
    return older[-1] if older else version


def _require_room(published: Published, slot: Slot) -> None:
    size = sum(part.path.stat().st_size for part in slot.parts.values())
    factor = _SPACE_FACTOR if published.older(slot.version) else 1
    require_space(published.folder, size * factor, f"publishing {slot.version}")


def _check_readable(envelope: Envelope) -> None:
    """What machines will do with it: too long notes, for example, show here."""
    source = "the new release"
    parse_manifest(parse_envelope(dump_envelope(envelope), source).manifest, source)


def _require_files(to: Path, manifest: Manifest) -> None:
    for part in manifest.parts:
        for transfer in (part.full, *part.deltas):
            path = to / transfer.path
            if not path.is_file() or file_sha256(path) != transfer.sha256:
                raise PublishError(
                    f"{path} is missing, or not what the manifest says",
                    "Restore it from a copy, or publish a new version.",
                )


def _prune(to: Path, keep: int, report: Say) -> None:
    for version in prune(read_published(to), keep):
        report(f"Removed {version}.")

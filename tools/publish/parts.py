"""Makes everything that machines may fetch of a new version: its parts, and deltas to them."""

from __future__ import annotations

from pathlib import Path

from firstboot.base.manifest import ROLES, Part, Role, Transfer
from tools.build.slot import Slot
from tools.host.cache import readable
from tools.host.report import Say
from tools.publish.errors import PublishError
from tools.publish.folder import Published
from tools.publish.transfer import Base, compress, decompress, file_sha256, make_delta

# So many older versions are upgraded from by a delta.
DELTA_BASES = 3


def make_parts(
    slot: Slot, published: Published, folder: Path, work: Path, report: Say
) -> tuple[Part, ...]:
    """Fill `folder`, which is to become the version's, and describe what is in it.

    `work` is a folder for what is not published. Raises PublishError when something that is
    published already is damaged, or a delta does not do what it should.
    """
    report(f"Compressing {slot.version} …")
    parts = [_make_part(slot, role, folder) for role in ROLES]
    total = sum(part.full.bytes for part in parts)
    report(f"The whole of {slot.version} is {readable(total)} to fetch.")
    for old in published.older(slot.version)[:DELTA_BASES]:
        report(f"Making the delta from {old} …")
        parts = [
            _with_delta(part, slot, published, old, folder=folder, work=work) for part in parts
        ]
        size = sum(fetched(part, old).bytes for part in parts)
        report(f"From {old} it is {readable(size)}, {size / total:.1%} of the whole.")
    return tuple(parts)


def fetched(part: Part, version: str) -> Transfer:
    """What a machine that runs `version` fetches of a part."""
    return next((delta for delta in part.deltas if delta.base == version), part.full)


def _make_part(slot: Slot, role: Role, folder: Path) -> Part:
    content = slot.parts[role]
    name = f"{role}.zst"
    return Part(
        role=role,
        bytes=content.path.stat().st_size,
        sha256=file_sha256(content.path),
        uuid=content.uuid,
        full=compress(content.path, folder / name, f"{slot.version}/{name}"),
    )


def _with_delta(
    part: Part, slot: Slot, published: Published, old: str, *, folder: Path, work: Path
) -> Part:
    """The part with a delta from what `old` has in the same role, if that is worth it."""
    former = published.releases[old].part(part.role)
    source = published.folder / former.full.path
    base = Base(old, work / "base", former.sha256)
    decompress(source, base.path)
    if file_sha256(base.path) != base.sha256:
        raise PublishError(
            f"{source} is not what the manifest of {old} says",
            f"Restore it from a copy, or remove {published.folder / old}.",
        )
    name = f"{part.role}.from-{old}.rdiff.zst"
    delta = make_delta(
        base,
        slot.parts[part.role].path,
        folder / name,
        f"{slot.version}/{name}",
        full=part.full,
        work=work,
    )
    return part.model_copy(update={"deltas": (*part.deltas, delta)}) if delta else part

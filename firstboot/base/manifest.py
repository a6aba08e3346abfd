"""The manifest of a published release: all that a machine must know before it fetches a byte.

`tools/forge publish` writes it, `mailstead update` reads it. It travels in an envelope: one JSON
file that holds the manifest's exact text and the signatures over it, so that whoever replaces the
file replaces both at once. What is published looks so, and any static web server can serve it:

    stable.json, candidate.json    the envelope of the newest release in each channel
    VERSION/release.json           the envelope of one release; it stays as long as its files
    VERSION/…                      the transfers that it names
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from firstboot.base.errors import ReleaseError

FORMAT: Literal[1] = 1
# What is signed begins with this, so that a signature of ours can never mean something else.
CONTEXT = b"mailstead release manifest 1\n"
# A GPT label has 36 characters (UEFI specification, 5.3.3), ours is mailstead_VERSION_verity.
MAX_VERSION = 19
# In bytes. Read one more than this of an envelope, and `parse_envelope` refuses it.
MAX_ENVELOPE = 1 << 20

Channel: TypeAlias = Literal["stable", "candidate"]
# In the order in which they are written: a machine that loses power before the UKI is in its place
# has not been upgraded.
Role: TypeAlias = Literal["verity", "signature", "root", "uki"]
ROLES: tuple[Role, ...] = ("verity", "signature", "root", "uki")

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def version_key(version: str) -> tuple[int, ...]:
    """By which versions are ordered; ReleaseError when it is not MAJOR.MINOR.PATCH."""
    if not _VERSION.fullmatch(version) or len(version) > MAX_VERSION:
        raise ReleaseError(f"{version!r} is not a version such as 1.2.3")
    return tuple(int(part) for part in version.split("."))


def _version(text: str) -> str:
    try:
        version_key(text)
    except ReleaseError as error:
        raise ValueError(error.message) from None
    return text


def _time(text: str) -> str:
    if datetime.datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("expected a time with its zone")
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("expected DIRECTORY/FILE")
    return text


M = TypeVar("M", bound=BaseModel)
Version = Annotated[str, AfterValidator(_version)]
Time = Annotated[str, AfterValidator(_time)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0, lt=1 << 40)]


class _Model(BaseModel):
    # A later version may add keys without changing the format.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


class Transfer(_Model):
    """A file to fetch: `path` is relative to the published directory, the hash is of that file.

    Without `base` it is the whole part, compressed with zstd; with it a delta (rdiff, compressed
    with zstd) against the part of the same role in version `base`, whose hash is `base_sha256`.
    """

    path: Annotated[str, AfterValidator(_path)]
    bytes: Bytes
    sha256: Sha256
    base: Version | None = None
    base_sha256: Sha256 | None = None


class Part(_Model):
    """One piece of a slot, as it is written: `uuid` is its partition's, None for the UKI."""

    role: Role
    bytes: Bytes
    sha256: Sha256
    uuid: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] | None
    full: Transfer
    deltas: tuple[Transfer, ...] = ()


class Manifest(_Model):
    """One release. Times are RFC 3339.

    Machines older than `minimum_version` upgrade to that first. `state_format` is that of the
    state it writes; it reads the format before and the format after, too. Automatic upgrades begin
    at `not_before`.
    """

    format: Literal[1]
    version: Version
    base: str
    channel: Channel
    built: Time
    not_before: Time
    minimum_version: Version
    state_format: Annotated[int, Field(ge=1)]
    notes: str
    parts: tuple[Part, ...]

    def part(self, role: Role) -> Part:
        """The part with this role; every manifest has each role once."""
        return next(part for part in self.parts if part.role == role)


class ReleaseKey(_Model):
    """Public keys that sign together, as PEM SubjectPublicKeyInfo; `id` is for people."""

    id: str
    ed25519: str
    ml_dsa_65: str


class Signature(_Model):
    """Both signatures of one key over CONTEXT and the manifest's text, in base64."""

    key: str
    ed25519: str
    ml_dsa_65: str


class Envelope(_Model):
    """A manifest's exact text, not yet trusted, and what was signed."""

    format: Literal[1]
    manifest: str
    signatures: tuple[Signature, ...]

    @property
    def message(self) -> bytes:
        """What the signatures are over."""
        return CONTEXT + self.manifest.encode()


class _Keys(_Model):
    format: Literal[1]
    keys: tuple[ReleaseKey, ...]


def parse_manifest(text: str, source: str) -> Manifest:
    """Read a manifest; ReleaseError names `source` and what is wrong."""
    found = _parse(Manifest, text, f"the manifest in {source}")
    if sorted(part.role for part in found.parts) != sorted(ROLES):
        raise ReleaseError(
            f"the manifest in {source} does not have each of {', '.join(ROLES)} once"
        )
    for part in found.parts:
        if (part.uuid is None) != (part.role == "uki"):
            raise ReleaseError(f"the manifest in {source} has a wrong partition for {part.role}")
        if part.full.base is not None or part.full.base_sha256 is not None:
            raise ReleaseError(f"the manifest in {source} has a delta as the whole of {part.role}")
        for delta in part.deltas:
            if delta.base is None or delta.base_sha256 is None:
                raise ReleaseError(f"the manifest in {source} has a delta against nothing")
    return found


def dump_manifest(manifest: Manifest) -> str:
    """The manifest as JSON; the same manifest always gives the same text."""
    return _dump(manifest)


def parse_envelope(data: bytes, source: str) -> Envelope:
    """Read an envelope without trusting it; ReleaseError when it is none, or too long."""
    if len(data) > MAX_ENVELOPE:
        raise ReleaseError(f"{source} is not a release manifest: longer than {MAX_ENVELOPE} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ReleaseError(f"{source} is not a release manifest: not text") from None
    return _parse(Envelope, text, source)


def dump_envelope(envelope: Envelope) -> bytes:
    """The file that is published."""
    return _dump(envelope).encode()


def parse_keys(text: str, source: str) -> tuple[ReleaseKey, ...]:
    """Read the public keys that a slot trusts."""
    return _parse(_Keys, text, source).keys


def dump_keys(keys: tuple[ReleaseKey, ...]) -> str:
    """The public keys as the file that a slot carries."""
    return _dump(_Keys(format=FORMAT, keys=keys))


def decode_signature(text: str) -> bytes:
    """A signature's bytes; ReleaseError when it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ReleaseError("a signature of the manifest is not base64") from None


def _parse(model: type[M], text: str, source: str) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "it"
        raise ReleaseError(f"{source} cannot be read: {place}: {first['msg']}") from None


def _dump(value: BaseModel) -> str:
    return json.dumps(value.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"

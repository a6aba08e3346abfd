"""The format of published releases: what is read back, and what is refused with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from firstboot.base.errors import ReleaseError
from firstboot.base.manifest import (
    MAX_ENVELOPE,
    ROLES,
    Envelope,
    Manifest,
    Part,
    ReleaseKey,
    Role,
    Signature,
    Transfer,
    decode_signature,
    dump_envelope,
    dump_keys,
    dump_manifest,
    parse_envelope,
    parse_keys,
    parse_manifest,
    version_key,
)

Spoil = Callable[[dict[str, Any]], object]

UUID = "0f0e0d0c-0b0a-0908-0706-050403020100"


def make_part(role: Role) -> Part:
    full = Transfer(path=f"1.2.3/{role}.zst", bytes=10, sha256="ab" * 32)
    delta = Transfer(
        path=f"1.2.3/{role}-from-1.2.2.zst",
        bytes=5,
        sha256="cd" * 32,
        base="1.2.2",
        base_sha256="ef" * 32,
    )
    uuid = None if role == "uki" else UUID
    return Part(role=role, bytes=100, sha256="01" * 32, uuid=uuid, full=full, deltas=(delta,))


SAMPLE = Manifest(
    format=1,
    version="1.2.3",
    base="ubuntu",
    channel="stable",
    built="2026-05-04T03:02:01Z",
    not_before="2026-05-05T00:00:00+02:00",
    minimum_version="1.0.0",
    state_format=1,
    notes="Ünicode, too.\n",
    parts=tuple(make_part(role) for role in ROLES),
)


def test_a_manifest_is_read_back() -> None:
    text = dump_manifest(SAMPLE)
    assert parse_manifest(text, "here") == SAMPLE
    assert dump_manifest(parse_manifest(text, "here")) == text
    assert SAMPLE.part("uki").role == "uki"


def test_keys_of_a_later_version_are_ignored() -> None:
    data = json.loads(dump_manifest(SAMPLE))
    data["later"] = data["parts"][0]["later"] = data["parts"][0]["full"]["later"] = 1
    assert parse_manifest(json.dumps(data), "here") == SAMPLE


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda m: m.pop("version"), "version: Field required"),
        (lambda m: m.update(format=2), "format: Input should be 1"),
        (lambda m: m.update(version="1.2"), "'1.2' is not a version such as 1.2.3"),
        (lambda m: m.update(minimum_version="x"), "minimum_version"),
        (lambda m: m.update(channel="nightly"), "channel"),
        (lambda m: m.update(built="2026-05-04T03:02:01"), "expected a time with its zone"),
        (lambda m: m.update(not_before="tomorrow"), "not_before"),
        (lambda m: m.update(state_format=0), "state_format"),
        (lambda m: m.update(state_format="1"), "state_format"),
        (lambda m: m.update(notes=None), "notes"),
        (lambda m: m["parts"].pop(), "does not have each of verity, signature, root, uki once"),
        (lambda m: m["parts"].append(m["parts"][0]), "does not have each of"),
        (lambda m: m.update(parts=[]), "does not have each of"),
        (lambda m: m["parts"][0].update(role="kernel"), "parts.0.role"),
        (lambda m: m["parts"][0].update(uuid=None), "a wrong partition for verity"),
        (lambda m: m["parts"][3].update(uuid=UUID), "a wrong partition for uki"),
        (lambda m: m["parts"][0].update(uuid=UUID.upper()), "parts.0.uuid"),
        (lambda m: m["parts"][0].update(bytes=-1), "parts.0.bytes"),
        (lambda m: m["parts"][0].update(bytes=1 << 40), "parts.0.bytes"),
        (lambda m: m["parts"][0].update(bytes=1.5), "parts.0.bytes"),
        (lambda m: m["parts"][0].update(sha256="AB" * 32), "parts.0.sha256"),
        (lambda m: m["parts"][0].update(sha256="ab" * 32 + "\n"), "parts.0.sha256"),
        (lambda m: m["parts"][0]["full"].update(base="1.0.0"), "a delta as the whole of verity"),
        (lambda m: m["parts"][0]["deltas"][0].update(base=None), "a delta against nothing"),
        (lambda m: m["parts"][0]["deltas"][0].pop("base_sha256"), "a delta against nothing"),
    ],
)
def test_a_wrong_manifest_is_explained(spoil: Spoil, text: str) -> None:
    data = json.loads(dump_manifest(SAMPLE))
    spoil(data)
    with pytest.raises(ReleaseError) as caught:
        parse_manifest(json.dumps(data), "release.json")
    assert text in caught.value.message
    assert "the manifest in release.json" in caught.value.message


@pytest.mark.parametrize(
    "path",
    ["x", "/etc/passwd", "../x", "1.2.3/../x", "1.2.3/x/y", "1.2.3/.x", "1.2.3/", "a/b\n", "a/ä",
     "1.2.3//x", "a\\b/c", "http://host.test/x", "a/b?c", "a/%2e", ""],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    data = json.loads(dump_manifest(SAMPLE))
    data["parts"][0]["full"]["path"] = path
    with pytest.raises(ReleaseError, match=r"parts\.0\.full\.path: .*DIRECTORY/FILE"):
        parse_manifest(json.dumps(data), "here")


def test_versions_are_ordered_by_their_numbers() -> None:
    ordered = ["0.0.1", "0.9.0", "0.10.0", "1.0.0", "1.0.10", "2.0.0", "10.0.0"]
    assert sorted(sorted(ordered), key=version_key) == ordered


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-rc1", "v1.2.3", "1.2.3\n", " 1.2.3", "1.2.-3",
     "1.2.٣", "1.2.+3", "1000000.1000000.10000"],
)  # fmt: skip
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ReleaseError, match="is not a version"):
        version_key(text)


def test_the_longest_version_fits_a_partition_label() -> None:
    longest = "100000.100000.10000"
    assert version_key(longest)
    assert len(f"mailstead_{longest}_verity") == 36


def test_an_envelope_is_read_back() -> None:
    signature = Signature(key="k", ed25519="AAAA", ml_dsa_65="BBBB")
    envelope = Envelope(format=1, manifest=dump_manifest(SAMPLE), signatures=(signature,))
    read = parse_envelope(dump_envelope(envelope), "here")
    assert read == envelope
    assert read.message == b"mailstead release manifest 1\n" + dump_manifest(SAMPLE).encode()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "EOF"),
        (b"<html>", "Invalid JSON"),
        (b"null", "object"),
        (b"\xff\xfe", "not text"),
        (b'{"format": 1}', "manifest: Field required"),
        (b'{"format": 2, "manifest": "", "signatures": []}', "format"),
        (b'{"format": 1, "manifest": {}, "signatures": []}', "manifest"),
        (b'{"format": 1, "manifest": "\\ud800", "signatures": []}', "Invalid JSON"),
        (b'{"format": 1, "manifest": "", "signatures": [{"key": "k"}]}', "signatures.0.ed25519"),
        (b"[" * 100_000, "Invalid JSON"),
        (b" " * (MAX_ENVELOPE + 1), "longer than"),
    ],
)
def test_what_is_no_envelope(data: bytes, text: str) -> None:
    with pytest.raises(ReleaseError, match=text) as caught:
        parse_envelope(data, "stable.json")
    assert "stable.json" in caught.value.message


def test_the_longest_envelope_is_read() -> None:
    data = b'{"format": 1, "manifest": "", "signatures": []}'
    assert parse_envelope(data.ljust(MAX_ENVELOPE), "here").signatures == ()


def test_trusted_keys_are_read_back() -> None:
    keys = tuple(ReleaseKey(id=name, ed25519="a", ml_dsa_65="b") for name in ("new", "old"))
    assert parse_keys(dump_keys(keys), "here") == keys


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 2, "keys": []}'])
def test_what_are_no_trusted_keys(text: str) -> None:
    with pytest.raises(ReleaseError, match=r"keys\.json cannot be read"):
        parse_keys(text, "keys.json")


def test_signatures_are_base64() -> None:
    assert decode_signature("AAEC") == b"\0\1\2"
    for text in ("AAE", "A A E C", "AA-_", "AAEC\n", "ä"):
        with pytest.raises(ReleaseError, match="not base64"):
            decode_signature(text)

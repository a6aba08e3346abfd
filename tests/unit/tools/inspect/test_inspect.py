"""The verb as people use it: text, JSON, differences, and what is told of a file that is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firstboot.base.errors import MailsteadError
from tests.unit.tools.inspect.samples import (
    DIGESTS,
    PACKAGES,
    Sample,
    compress,
    dpkg_status,
    release,
)
from tools.host.errors import SpaceError
from tools.inspect.commands import inspect
from tools.inspect.errors import InspectError
from tools.inspect.programs import Programs, find_programs, find_tools_tree

RELEASE = "/usr/share/mailstead/release.json"


def _inspect(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(inspect, [str(argument) for argument in arguments])
    if isinstance(result.exception, MailsteadError):
        raise result.exception
    return result


def _json(*arguments: str | Path) -> dict[str, Any]:
    result = _inspect(*arguments, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_tells_everything(sample: Sample) -> None:
    image = sample.write()
    found = _json(image)
    assert found["version"] == "0.1.0"
    assert found["base"] == "ubuntu"
    assert found["distribution"] == "Ubuntu 26.04 LTS"
    assert found["bytes"] == image.stat().st_size
    assert found["compressed_bytes"] is None
    assert found["root_hash"] == sample.root_hash
    assert found["verified"] is None
    assert found["testing"] is False
    assert found["keys"] == "release"
    assert found["packages"] == PACKAGES
    assert found["uki"]["sections"]["linux"] == 700
    assert found["uki"]["bytes"] == len(sample.kernel())
    assert [part["type"] for part in found["partitions"]] == [
        "esp",
        "root-x86-64-verity",
        "root-x86-64-verity-signature",
        "root-x86-64",
    ]
    digests = {name: about["manifest"] for name, about in found["containers"].items()}
    assert digests == {name: f"sha256:{digest}" for name, digest in DIGESTS.items()}
    assert "difference" not in found


def test_text_shows_what_json_tells(sample: Sample) -> None:
    output = _inspect(sample.write()).stdout
    for shown in (sample.root_hash, "docker.io  29.1.3", f"sha256:{'a' * 64}", "7.0.0-1-generic"):
        assert shown in output
    assert "mailstead_0.1.0_sig" in output
    assert "keys for releases" in output
    assert "WARNING" not in output
    assert "not checked" in output


def test_an_image_with_the_guest_agent_is_one_for_tests(sample: Sample) -> None:
    sample.files["/var/lib/dpkg/status"] = dpkg_status({**PACKAGES, "qemu-guest-agent": "1"})
    image = sample.write()
    assert _json(image)["testing"] is True
    assert "a way in" in _inspect(image).stdout


def test_test_keys_are_a_warning(sample: Sample) -> None:
    sample.files[RELEASE] = release(DIGESTS, keys="test")
    image = sample.write()
    assert _json(image)["keys"] == "test"
    assert "WARNING: test keys" in _inspect(image).stdout


def test_other_keys_are_a_difference(sample: Sample, tmp_path: Path) -> None:
    old = sample.write("old.raw")
    new = Sample(tmp_path)
    new.files[RELEASE] = release(DIGESTS, keys="test")
    found = _json(new.write("new.raw"), "--against", old)["difference"]
    assert found["facts"]["changed"] == {"keys": {"from": "release", "to": "test"}}


def test_verify_tells_a_whole_image_from_a_damaged_one(sample: Sample) -> None:
    image = sample.write()
    found = _json(image, "--verify")
    assert found["verified"] is True
    start = found["partitions"][3]["start"]
    with image.open("r+b") as file:
        file.seek(start + 5000)
        file.write(b"tampered")
    result = _inspect(image, "--verify", "--json")
    assert result.exit_code == InspectError.exit_code
    assert json.loads(result.stdout)["verified"] is False
    assert "at byte 4096" in _inspect(image, "--verify").stdout


def test_a_compressed_image_is_unpacked_for_a_moment(sample: Sample, cache: Path) -> None:
    image = sample.write()
    packed = compress(image)
    assert _json(image)["compressed_bytes"] == packed.stat().st_size
    found = _json(packed)
    assert found["path"] == str(packed)
    assert found["bytes"] == image.stat().st_size
    assert found["compressed_bytes"] == packed.stat().st_size
    assert list((cache / "inspect").iterdir()) == []


def test_what_a_killed_run_unpacked_goes_with_the_next(sample: Sample, cache: Path) -> None:
    left = cache / "inspect" / ".unfinished-old"
    left.mkdir(parents=True)
    (left / "half.raw").touch()
    _json(compress(sample.write()))
    assert not left.exists()


def test_what_differs_from_another_image(sample: Sample, tmp_path: Path) -> None:
    old = sample.write("old.raw")
    new = Sample(tmp_path, options="console=tty0 loglevel=3", data=bytes(4096))
    packages = {"bash": "5.3-3", "restic": "0.18"}
    new.files["/var/lib/dpkg/status"] = dpkg_status(packages)
    new.files[RELEASE] = release({"mta": "b" * 64, "redis": "d" * 64})
    found = _json(new.write("new.raw"), "--against", old)["difference"]
    assert found["against"] == str(old)
    assert found["same_root"] is False
    assert found["packages"] == {
        "added": {"restic": "0.18"},
        "removed": {"docker.io": "29.1.3"},
        "changed": {"bash": {"from": "5.3-2", "to": "5.3-3"}},
    }
    assert list(found["containers"]["changed"]) == ["redis"]
    assert found["command_line"] == {"added": ["loglevel=3"], "removed": ["quiet"]}
    output = _inspect(tmp_path / "new.raw", "--against", old).stdout
    for shown in ("5.3-2 → 5.3-3", "loglevel=3", f"sha256:{'d' * 64}"):
        assert shown in output


def test_no_difference_is_told(sample: Sample) -> None:
    image = sample.write()
    output = _inspect(image, "--against", image).stdout
    assert "the same, byte for byte" in output
    assert "Packages: no difference" in output


def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(InspectError, match="does not exist"):
        _inspect(tmp_path / "nothing.raw")
    with pytest.raises(InspectError, match="is not a file"):
        _inspect(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("/var/lib/dpkg/status", "", "dpkg/status cannot be read"),
        (RELEASE, "{", "is not JSON"),
        (RELEASE, release({}, "0.2.0"), "contradicts itself"),
        (RELEASE, release({}).replace('"keys"', '"kys"'), "is damaged: KeyError"),
    ],
)
def test_a_root_that_is_wrong_is_told(sample: Sample, name: str, text: str, told: str) -> None:
    sample.files[name] = text
    with pytest.raises(InspectError, match=told) as caught:
        _inspect(sample.write())
    assert caught.value.hint


def test_a_file_that_the_root_lacks_is_told(sample: Sample) -> None:
    del sample.files["/usr/lib/os-release"]
    with pytest.raises(InspectError, match=r"os-release cannot be read .* read inode failed"):
        _inspect(sample.write())


def test_uki_and_root_of_different_builds_are_told(sample: Sample) -> None:
    sample.paired = False
    with pytest.raises(InspectError, match="no root-x86-64 partition that belongs"):
        _inspect(sample.write())


@pytest.mark.parametrize("kernels", [(), ("a.efi", "b.efi")])
def test_an_esp_without_its_one_kernel_is_told(sample: Sample, kernels: tuple[str, ...]) -> None:
    sample.kernels = kernels
    with pytest.raises(InspectError, match="must have one UKI"):
        _inspect(sample.write())


@pytest.mark.parametrize(
    ("said", "error"),
    [("premature end", InspectError), ("write error: No space left on device", SpaceError)],
)
def test_a_compressed_image_that_cannot_be_unpacked_is_told(
    sample: Sample, programs: Path, said: str, error: type[MailsteadError]
) -> None:
    (programs / "zstd").write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    with pytest.raises(error) as caught:
        _inspect(compress(sample.write()))
    assert caught.value.hint


def test_without_programs_a_build_is_advised(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUMP_EROFS_HELP", "an older version")
    with pytest.raises(InspectError, match="no tools tree") as caught:
        _inspect(sample.write())
    assert "tools/forge build" in caught.value.hint


def _make_tree(result: Path, age: int) -> Path:
    tree = result / "tools"
    library = tree / "usr/lib/x86_64-linux-gnu"
    library.mkdir(parents=True)
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/dump.erofs").touch()
    loader = library / "ld-linux-x86-64.so.2"
    loader.write_text('#!/bin/sh\necho "$@"\n')
    loader.chmod(0o755)
    os.utime(result, (1_000_000 - age, 1_000_000 - age))
    return tree


def test_the_tools_tree_that_was_used_last_is_taken(cache: Path) -> None:
    assert find_tools_tree() is None
    _make_tree(cache / "build/ubuntu/tools-tree-1", 10)
    newest = _make_tree(cache / "build/debian/tools-tree-2", 5)
    (cache / "build/ubuntu/tools-tree-3/tools").mkdir(parents=True)
    assert find_tools_tree() == newest
    assert find_programs() == Programs(newest)


def test_programs_of_a_tools_tree_use_its_own_libraries(cache: Path) -> None:
    tree = _make_tree(cache / "build/ubuntu/tools-tree-1", 0)
    words = Programs(tree).run("mcopy", "-n", "x").stdout.split()
    libraries = f"{tree}/usr/lib/x86_64-linux-gnu"
    assert words == ["--library-path", libraries, f"{tree}/usr/bin/mcopy", "-n", "x"]

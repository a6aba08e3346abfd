"""The verb `publish`, with a build that takes no time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firstboot.base.errors import MailsteadError
from tests.unit.tools.publish.conftest import BUILT, Site
from tools.build.image import RELEASE, TESTING
from tools.publish import commands
from tools.publish.errors import PublishError


@dataclass
class Host:
    """What the verb found on its host, and what it did there."""

    site: Site
    version: str = "1.0.0"
    built: list[dict[str, Any]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def build_image(self, base: str, **options: Any) -> SimpleNamespace:
        with options.pop("keys") as keys:
            assert keys is self.site.keys
        self.built.append({"base": base, **options})
        release = SimpleNamespace(base=base, built=BUILT)
        return SimpleNamespace(folder=Path(self.version), release=release)

    @contextmanager
    def open(self, which: str) -> Iterator[object]:
        self.opened.append(which)
        yield self.site.keys

    def run(self, *words: str) -> Result:
        argv = ["--to", str(self.site.folder), *words]
        return CliRunner().invoke(commands.publish, argv)

    def fails(self, *words: str) -> MailsteadError:
        error = self.run(*words).exception
        assert isinstance(error, MailsteadError)
        return error


@pytest.fixture
def host(site: Site, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(site)
    monkeypatch.setattr(commands, "ensure_for", lambda verb, _: host.opened.append(f"for {verb}"))
    monkeypatch.setattr(commands, "build_image", host.build_image)
    monkeypatch.setattr(commands, "read_slot", lambda folder: site.slot(folder.name))
    monkeypatch.setattr(commands, "read_source", lambda: SimpleNamespace(version=host.version))
    monkeypatch.setattr(commands, "opened_test_keys", lambda: host.open("test"))
    monkeypatch.setattr(
        commands, "opened_release_keys", lambda *places: host.open(f"release {places}")
    )
    return host


def test_a_release_is_built_and_published(host: Host, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("Müll wird getrennt.\n", encoding="utf-8")
    result = host.run("--notes", str(notes), "--not-before", "2030-01-31T05:00:00+01:00", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["version"] == "1.0.0"
    assert found["channel"] == "candidate"
    assert found["bytes"]["from"] == {}
    assert found["testing"] is False
    manifest = host.site.read("candidate.json")
    assert manifest.notes == "Müll wird getrennt.\n"
    assert manifest.not_before == "2030-01-31T04:00:00Z"
    assert manifest.built == BUILT
    assert host.built[0]["variant"] is RELEASE
    assert host.opened == ["for publish", "release (None, None)"]


def test_a_second_one_tells_what_its_delta_saves(host: Host) -> None:
    host.run()
    host.version = "1.1.0"
    result = host.run("--channel", "stable", "--json")
    sizes = json.loads(result.stdout)["bytes"]
    manifest = host.site.read("stable.json")
    assert sizes["full"] == sum(part.full.bytes for part in manifest.parts)
    assert sizes["from"]["1.0.0"] < sizes["full"] / 10
    host.version = "1.2.0"
    assert "from 1.1.0 (" in host.run().stdout


def test_a_testing_release_says_so_loudly(host: Host) -> None:
    result = host.run("--testing")
    assert "SIGNED WITH TEST KEYS" in result.stderr
    assert host.built[0]["variant"] is TESTING
    assert host.opened == ["for publish", "test"]
    assert "SIGNED WITH TEST KEYS" not in host.run("--channel", "stable").stderr


def test_a_version_that_is_not_newer_is_not_even_built(host: Host) -> None:
    host.run()
    error = host.fails()
    assert "is not newer" in error.message
    assert len(host.built) == 1


def test_promoting_builds_nothing(host: Host, tmp_path: Path) -> None:
    host.run()
    result = host.run(
        "--promote", "1.0.0", "--channel", "stable", "--bundle", str(tmp_path), "--json"
    )
    assert json.loads(result.stdout)["channel"] == "stable"
    assert host.site.head("stable") == "1.0.0"
    assert (tmp_path / "mailstead_1.0.0.tar").exists()
    assert len(host.built) == 1


def test_an_unusual_name_of_a_bundle_is_told(host: Host, tmp_path: Path) -> None:
    result = host.run("--bundle", str(tmp_path / "release.tar"))
    assert "On a stick machines find it as mailstead_1.0.0.tar only." in result.stderr


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--promote", "1.0.0"), "add --channel stable"),
        (("--promote", "1.0.0", "--channel", "stable", "--base", "debian"), "--base is for a new"),
        (
            ("--promote", "1.0.0", "--channel", "stable", "--not-before", "2030-01-31T04:00:00Z"),
            "--not-before is for a new",
        ),
        (("--promote", "one"), "'one' is not a version"),
        (("--minimum-version", "1.2"), "'1.2' is not a version"),
        (("--not-before", "2030-01-31"), "is not a time such as"),
        (("--not-before", "2030-01-31T04:00:00"), "is not a time such as"),
        (("--channel", "nightly"), "'nightly' is not one of"),
        (("--keep", "1"), "1 is not in the range"),
        (("--testing", "--keys", "folder"), "exclude each other"),
    ],
)
def test_wrong_usage_is_told(host: Host, words: tuple[str, ...], wrong: str) -> None:
    result = host.run(*words)
    assert result.exit_code == 2
    assert wrong in " ".join(result.output.split())
    assert not host.built
    assert not host.opened


def test_notes_that_cannot_be_read_are_told(host: Host, tmp_path: Path) -> None:
    assert "No such file" in host.fails("--notes", str(tmp_path / "nothing")).message
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert "not text in UTF-8" in host.fails("--notes", str(binary)).message
    assert not host.built


def test_a_bundle_without_a_directory_is_told_before_the_build(host: Host, tmp_path: Path) -> None:
    error = host.fails("--bundle", str(tmp_path / "nowhere" / "bundle.tar"))
    assert isinstance(error, PublishError)
    assert "nowhere for the bundle does not exist" in error.message
    assert not host.built

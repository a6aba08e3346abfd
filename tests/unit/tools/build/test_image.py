"""A whole build on a host of fakes: what is built again, and what a build that fails leaves."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from firstboot.base.release import read_release
from tests.unit.tools.build.conftest import FakeMkosi, options
from tools.build import image
from tools.build.base import UBUNTU
from tools.build.errors import BuildError
from tools.build.image import Built, build_image, build_parts
from tools.build.source import CHECKOUT, Source
from tools.host.cache import require_space
from tools.host.errors import SpaceError

CONTAINERS = ["containers/mta", "containers/postmaster", "containers/redis"]
EVERYTHING = ["tools", "containers/base", *CONTAINERS, "appliance"]


def _silent(line: str) -> None:
    assert line


def _build(*, testing: bool = False) -> Built:
    return build_image("ubuntu", report=_silent, testing=testing)


def test_an_image_is_built_from_nothing(host: FakeMkosi, cache: Path) -> None:
    built = _build()
    calls = host.calls()
    assert host.built() == EVERYTHING
    assert built.image.read_text() == "raw"
    assert built.compressed.read_text() == "packed\n"
    assert built.uki.read_text() == "efi"
    assert sorted(path.name for path in built.folder.iterdir()) == [
        "mailstead_0.1.0.efi",
        "mailstead_0.1.0.manifest",
        "mailstead_0.1.0.raw",
        "mailstead_0.1.0.raw.zst",
        "release.json",
    ]
    assert set(built.release.images) == {"mta", "postmaster", "redis"}
    assert built.release == read_release(built.folder / "release.json")
    assert options(calls[0], "--tools-tree") == []
    assert all(options(call, "--tools-tree") == [str(built.tools)] for call in calls[1:])
    (sources,) = options(calls[0], "--sandbox-tree")
    assert (Path(sources) / "etc/apt/sources.list.d/mkosi.sources").read_text() == "Types: deb\n"
    assert list((cache / "build" / "ubuntu").glob(".unfinished-*")) == []


def test_without_a_change_nothing_is_built(host: FakeMkosi) -> None:
    before = _build()
    host.built()
    assert _build().folder == before.folder
    assert host.built() == []


def _add_line(*names: str) -> Callable[[Path], None]:
    def change(checkout: Path) -> None:
        for name in names:
            with (checkout / name).open("a") as file:
                file.write("\n")

    return change


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (_add_line("firstboot/cli.py"), ["appliance"]),
        (_add_line("compose/services.yaml"), ["appliance"]),
        (_add_line("images/appliance/mkosi.conf"), ["appliance"]),
        (_add_line("compose/postmaster/cli.py"), ["containers/postmaster", "appliance"]),
        (_add_line("images/containers/redis/mkosi.conf"), ["containers/redis", "appliance"]),
        (
            _add_line("images/containers/container.conf"),
            ["containers/base", *CONTAINERS, "appliance"],
        ),
        (_add_line("images/tools/mkosi.conf"), EVERYTHING),
        (_add_line("mkosi.conf"), EVERYTHING),
        (_add_line("images/testing/mkosi.conf"), []),
    ],
)
def test_only_what_a_change_concerns_is_built_again(
    host: FakeMkosi, checkout: Path, change: Callable[[Path], None], again: list[str]
) -> None:
    _build()
    host.built()
    change(checkout)
    _build()
    assert host.built() == again


def test_an_image_for_tests_is_another_image(host: FakeMkosi, checkout: Path) -> None:
    release, testing = _build(), _build(testing=True)
    assert release.folder != testing.folder
    calls = [call for call in host.calls() if options(call, "--image-version")]
    testing_folder = str(checkout / "images" / "testing")
    assert [testing_folder in options(call, "--include") for call in calls] == [False, True]
    # Both share what mkosi keeps of an image, so tests' packages have to be volatile ones.
    added = (CHECKOUT / "images/testing/mkosi.conf").read_text()
    assert "\nVolatilePackages=" in added
    assert "\nPackages=" not in added


def test_stack_needs_no_disk_image(host: FakeMkosi) -> None:
    parts = build_parts("ubuntu", report=_silent)
    assert host.built() == EVERYTHING[:-1]
    assert set(parts.containers.images) == {"mta", "postmaster", "redis"}
    with tarfile.open(parts.containers.archive) as archive:
        assert "manifest.json" in archive.getnames()


def test_a_build_that_fails_leaves_earlier_results(host: FakeMkosi, checkout: Path) -> None:
    before = _build()
    host.built()
    _add_line("images/appliance/mkosi.conf")(checkout)
    host.behave("appliance", "fail")
    with pytest.raises(BuildError, match="could not build appliance") as caught:
        _build()
    log = Path(caught.value.hint.removeprefix("All of its output is in ").rstrip("."))
    assert "nonesuch" in log.read_text()
    assert before.image.exists()
    assert list(before.folder.parent.glob(".unfinished-*")) == []
    host.behave("appliance", "succeed")
    assert _build().folder != before.folder
    assert host.built() == ["appliance", "appliance"]


def test_an_interrupted_build_is_taken_up_by_the_next(host: FakeMkosi, cache: Path) -> None:
    host.behave("containers/postmaster", "interrupt")
    with pytest.raises(KeyboardInterrupt):
        _build()
    assert host.built() == EVERYTHING[:4]
    assert list((cache / "build" / "ubuntu").glob(".unfinished-*")) == []
    host.behave("containers/postmaster", "succeed")
    assert _build().image.exists()
    assert host.built() == EVERYTHING[3:]


def test_what_a_killed_build_left_is_thrown_away(host: FakeMkosi, cache: Path) -> None:
    left = cache / "build" / "ubuntu" / ".unfinished-killed"
    (left / "half").mkdir(parents=True)
    _build()
    assert not left.exists()


def test_without_room_nothing_is_started(host: FakeMkosi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "require_space", require_space)
    monkeypatch.setattr(image, "_SPACE_NEEDED", 1 << 60)
    with pytest.raises(SpaceError, match="building the image needs"):
        _build()
    assert host.calls() == []


def test_postmaster_gets_its_sources_and_its_dependencies(host: FakeMkosi) -> None:
    parts = build_parts("ubuntu", report=_silent)
    (result,) = parts.containers.archive.parent.parent.glob("container-postmaster-*")
    with tarfile.open(result / "layer.tar") as layer:
        names = layer.getnames()
    library = "usr/lib/postmaster"
    assert {f"{library}/wheel.py", f"{library}/postmaster/cli.py"} <= set(names)
    assert not any(name.endswith((".pyc", "requirements.txt")) for name in names)
    assert "etc/base" not in names


def test_a_template_that_is_renamed_makes_another_image(host: FakeMkosi, checkout: Path) -> None:
    before = _build()
    (checkout / "compose" / "redis").rename(checkout / "compose" / "redis2")
    assert _build().folder != before.folder


def test_sources_fit_the_base(host: FakeMkosi, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def sources(*arguments: object, **_options: object) -> None:
        asked.append(arguments)

    monkeypatch.setattr(image, "image_sources", sources)
    _build()
    assert asked == [("ubuntu", UBUNTU.components)]
    assert options(host.calls()[0], "--sandbox-tree") == []


def test_an_archive_does_not_tell_what_was_built_before(
    host: FakeMkosi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever builds a commit gets the same bytes, with results of earlier commits or without."""
    build_parts("ubuntu", report=_silent)
    source = Source("0.1.0", "next", time=1767312000, content_time=1767225600)
    monkeypatch.setattr(image, "read_source", lambda: source)
    after_another = build_parts("ubuntu", report=_silent).containers
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    from_nothing = build_parts("ubuntu", report=_silent).containers
    assert after_another.images == from_nothing.images
    assert after_another.archive.read_bytes() == from_nothing.archive.read_bytes()

"""A whole build on a host of fakes: what is built again, and what a build that fails leaves."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from firstboot.base.manifest import MAX_VERSION
from firstboot.base.release import read_release
from tests.unit.tools.build.conftest import FakeMkosi, options
from tests.unit.tools.inspect.samples import Sample
from tools.build import image
from tools.build.appliance import Variant
from tools.build.base import UBUNTU
from tools.build.errors import BuildError
from tools.build.image import RELEASE, TESTING, Built, build_image, build_parts, compressed
from tools.build.slot import read_slot
from tools.build.source import CHECKOUT, Source
from tools.host.cache import require_space
from tools.host.errors import SpaceError

CONTAINERS = [
    "containers/python",
    "containers/mta",
    "containers/postmaster",
    "containers/proxy",
    "containers/redis",
    "containers/resolver",
    "containers/rspamd",
    "containers/sts",
]
IMAGES = {name.removeprefix("containers/") for name in CONTAINERS} - {"python"}
EVERYTHING = ["tools", "containers/base", *CONTAINERS, "early", "appliance"]


def _silent(line: str) -> None:
    assert line


def _build(variant: Variant = RELEASE, version: str | None = None) -> Built:
    return build_image("ubuntu", report=_silent, variant=variant, version=version)


def test_an_image_is_built_from_nothing(host: FakeMkosi, cache: Path) -> None:
    built = _build()
    calls = host.calls()
    assert host.built() == EVERYTHING
    assert built.image.read_bytes() == Sample(cache).disk()
    assert built.uki.read_bytes() == Sample(cache).kernel()
    assert sorted(path.name for path in built.folder.iterdir()) == [
        "mailstead_0.1.0.efi",
        "mailstead_0.1.0.manifest",
        "mailstead_0.1.0.raw",
        "mailstead_0.1.0.root",
        "mailstead_0.1.0.signature",
        "mailstead_0.1.0.verity",
        "release.json",
        "slot.json",
    ]
    assert compressed(built.image).read_text() == "packed\n"
    assert set(built.release.images) == IMAGES
    assert built.release == read_release(built.folder / "release.json")
    assert options(calls[0], "--tools-tree") == []
    assert all(options(call, "--tools-tree") == [str(built.tools)] for call in calls[1:])
    (sources,) = options(calls[0], "--sandbox-tree")
    assert (Path(sources) / "etc/apt/sources.list.d/mkosi.sources").read_text() == "Types: deb\n"
    assert list((cache / "build" / "ubuntu").glob(".unfinished-*")) == []


def test_the_pieces_of_the_slot_are_described(host: FakeMkosi, tmp_path: Path) -> None:
    built = _build()
    slot, sample = read_slot(built.folder), Sample(tmp_path)
    assert (slot.version, slot.root_hash) == ("0.1.0", sample.root_hash)
    assert (slot.parts["uki"].path, slot.parts["uki"].uuid) == (built.uki, None)
    found = {role: (part.path.read_bytes(), part.uuid) for role, part in slot.parts.items()}
    del found["uki"]
    assert found == {role: (content, own) for role, (_, own, _, content) in sample.slot().items()}


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
        (_add_line("firstboot/cli/lazy.py"), ["appliance"]),
        (_add_line("compose/services.yaml"), ["appliance"]),
        (_add_line("images/appliance/mkosi.conf"), ["appliance"]),
        (_add_line("compose/postmaster/cli.py"), ["appliance"]),
        (_add_line("compose/postmaster/requirements.txt"), ["containers/postmaster", "appliance"]),
        (_add_line("images/containers/redis/mkosi.conf"), ["containers/redis", "appliance"]),
        (
            _add_line("images/containers/python/mkosi.conf"),
            [
                "containers/python",
                "containers/postmaster",
                "containers/resolver",
                "containers/sts",
                "appliance",
            ],
        ),
        (
            _add_line("images/containers/container.conf"),
            ["containers/base", *CONTAINERS, "appliance"],
        ),
        (_add_line("images/tools/mkosi.conf"), EVERYTHING),
        (_add_line("mkosi.conf"), EVERYTHING),
        (_add_line("images/early/mkosi.conf"), ["early", "appliance"]),
        (_add_line("images/shared/usr/lib/mailstead/say"), ["early", "appliance"]),
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
    release, testing = _build(), _build(TESTING)
    assert release.folder != testing.folder
    assert (release.testing, testing.testing) == (False, True)
    calls = [call for call in host.calls() if options(call, "--image-version")]
    testing_folder = str(checkout / "images" / "testing")
    assert [testing_folder in options(call, "--include") for call in calls] == [False, True]
    # Both share what mkosi keeps of an image, so tests' packages have to be volatile ones.
    added = (CHECKOUT / "images/testing/mkosi.conf").read_text()
    assert "\nVolatilePackages=" in added
    assert "\nPackages=" not in added


def test_what_a_variant_adds_is_handed_to_mkosi(host: FakeMkosi, tmp_path: Path) -> None:
    unit = tmp_path / "extra" / "usr/lib/systemd/system/hang.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\n")
    # A tree of a variant wins over what the build itself lays over the image.
    own = tmp_path / "extra" / "usr/share/mailstead/compose/services.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("broken")
    variant = Variant(extra=(tmp_path / "extra",), options=("--kernel-command-line", "init=/no"))
    plain, changed = _build(), _build(variant)
    assert changed.folder != plain.folder
    assert options(host.calls()[-1], "--kernel-command-line") == ["init=/no"]
    tree = host.tree
    assert (tree / unit.relative_to(tmp_path / "extra")).read_text() == "[Service]\n"
    assert (tree / own.relative_to(tmp_path / "extra")).read_text() == "broken"
    assert (tree / "usr/share/mailstead/release.json").exists()
    host.built()
    unit.write_text("[Service]\nExecStart=/no\n")
    assert _build(variant).folder != changed.folder
    assert _build(replace(variant, options=())).folder != changed.folder
    assert host.built() == ["appliance", "appliance"]


@pytest.mark.parametrize(("base", "carried"), [("ubuntu", False), ("debian", True)])
def test_what_the_distribution_has_no_package_of_is_carried(
    host: FakeMkosi, base: str, carried: bool
) -> None:
    build_image(base, report=_silent)
    judge = host.tree / "usr/lib/python3/dist-packages/zxcvbn/scoring.py"
    assert judge.exists() == carried
    # From the distribution, or from us; never from both, and never from neither.
    config = (CHECKOUT / f"images/appliance/mkosi.conf.d/30-agent-{base}.conf").exists()
    assert config != carried


def test_another_version_is_another_image(host: FakeMkosi) -> None:
    before = _build()
    host.built()
    built = _build(version="0.2.0")
    assert host.built() == ["appliance"]
    assert before.image.exists()
    assert built.image.name == "mailstead_0.2.0.raw"
    assert built.release.version == read_slot(built.folder).version == "0.2.0"
    assert built.release.images == before.release.images


def test_a_version_has_to_fit_into_the_label_of_a_partition(host: FakeMkosi) -> None:
    longest = "1." + "2" * (MAX_VERSION - 4) + ".3"
    assert _build(version=longest).release.version == longest
    host.built()
    with pytest.raises(BuildError, match=f"version {longest}4 does not fit"):
        _build(version=f"{longest}4")
    assert host.built() == []


def test_stack_needs_no_disk_image(host: FakeMkosi) -> None:
    parts = build_parts("ubuntu", report=_silent)
    assert host.built() == EVERYTHING[:-2]
    assert set(parts.containers.images) == IMAGES
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
    interrupted = EVERYTHING.index("containers/postmaster")
    assert host.built() == EVERYTHING[: interrupted + 1]
    assert list((cache / "build" / "ubuntu").glob(".unfinished-*")) == []
    host.behave("containers/postmaster", "succeed")
    assert _build().image.exists()
    assert host.built() == EVERYTHING[interrupted:]


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


def test_postmaster_gets_its_dependencies_and_its_code_in_layers_of_their_own(
    host: FakeMkosi,
) -> None:
    parts = build_parts("ubuntu", report=_silent)

    def files(step: str) -> set[str]:
        (result,) = parts.containers.archive.parent.parent.glob(f"{step}-*")
        with tarfile.open(result / "layer.tar") as layer:
            return {entry.name for entry in layer if entry.isfile()}

    library = "usr/lib/postmaster"
    below, code = files("container-postmaster"), files("own-code")
    assert f"{library}/wheel.py" in below
    assert "etc/base" not in below
    assert f"{library}/postmaster/cli.py" in code
    assert all(name.startswith(f"{library}/postmaster/") for name in code)
    assert not below & code


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

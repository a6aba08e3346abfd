"""The Docker engine, with its API and Compose's command faked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import requests.exceptions

from firstboot.base.engine import Container, Engine
from firstboot.base.errors import EngineError
from firstboot.base.release import Release
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import RELEASE, digest, make_image

REDIS, MTA = RELEASE.images["redis"], RELEASE.images["mta"]


@dataclass
class FakeApi:
    """Docker's API over a dictionary from tag to image id; loading adds what `archive` holds."""

    store: dict[str, str] = field(default_factory=dict)
    archive: dict[str, str] = field(default_factory=dict)
    load_error: str = ""
    in_use: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    removed: list[str] = field(default_factory=list)

    def inspect_image(self, tag: str) -> dict[str, str]:
        if tag in self.broken:
            raise docker.errors.APIError("500: content not found")
        if tag not in self.store:
            raise docker.errors.ImageNotFound(tag)
        return {"Id": self.store[tag]}

    def load_image(self, data: io.BufferedReader) -> Iterator[dict[str, str]]:
        assert data.read() == b"archive"
        if self.load_error:
            yield {"error": self.load_error + "\n"}
            return
        self.store.update(self.archive)
        self.broken.clear()
        yield {"stream": "Loaded image: it\n"}

    def remove_image(self, tag: str, force: bool = False) -> None:
        if tag in self.in_use and not force:
            raise docker.errors.APIError("409: conflict")
        if self.store.pop(tag, None) is None:
            raise docker.errors.ImageNotFound(tag)
        self.removed.append(tag)

    def images(self, name: str) -> list[dict[str, Any]]:
        assert name == "mailstead/*"
        return [{"RepoTags": [tag]} for tag in self.store] + [{"RepoTags": None}]

    def containers(self, **_filters: object) -> list[dict[str, str]]:
        return [{"Id": "2"}, {"Id": "1"}, {"Id": "gone"}]

    def inspect_container(self, identifier: str) -> dict[str, Any]:
        if identifier == "gone":
            raise docker.errors.NotFound(identifier)
        networks = (
            {"b": {"IPAddress": "172.19.0.2"}, "a": {"IPAddress": ""}} if identifier == "1" else {}
        )
        return {
            "Id": identifier,
            "Name": f"/project-{identifier}",
            "Image": digest("a"),
            "Config": {
                "Image": "mailstead/it:1",
                "Labels": {"com.docker.compose.service": {"1": "mta", "2": "redis"}[identifier]},
            },
            "State": {"Status": "running", "ExitCode": 0},
            "NetworkSettings": {"Networks": networks},
            "RestartCount": 3,
        }

    def stats(self, identifier: str, **options: object) -> dict[str, Any]:
        assert options == {"stream": False, "one_shot": True}
        if identifier == "2":
            return {"memory_stats": {}}
        return {"memory_stats": {"usage": 5000, "stats": {"inactive_file": 2000}}}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(archive={REDIS.reference: REDIS.config, MTA.reference: MTA.manifest})


@pytest.fixture
def engine(api: FakeApi) -> Engine:
    made = Engine("unix:///nowhere")
    made.__dict__["_api"] = api
    return made


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "containers.tar"
    path.write_bytes(b"archive")
    return path


def ignore(_text: str) -> None:
    """No progress."""


def test_loads_what_is_missing_and_no_more(engine: Engine, api: FakeApi, archive: Path) -> None:
    said: list[str] = []
    loaded = engine.load(archive, RELEASE, said.append)
    assert loaded.references == (REDIS.reference, MTA.reference)
    assert said == [
        f"loading {REDIS.reference}",
        f"loading {MTA.reference}",
        "Loaded image: it",
    ]
    archive.unlink()
    assert engine.load(archive, RELEASE, ignore).references == ()


def test_wrong_image_under_the_right_tag_is_replaced(
    engine: Engine, api: FakeApi, archive: Path
) -> None:
    api.store = {REDIS.reference: digest("f"), MTA.reference: MTA.config}
    assert engine.load(archive, RELEASE, ignore).references == (REDIS.reference,)
    assert api.removed == [REDIS.reference]
    assert api.store[REDIS.reference] == REDIS.config


def test_broken_image_is_loaded_again(engine: Engine, api: FakeApi, archive: Path) -> None:
    api.store, api.broken = dict(api.archive), {MTA.reference}
    assert engine.load(archive, RELEASE, ignore).references == (MTA.reference,)


def test_force_loads_everything_again(engine: Engine, api: FakeApi, archive: Path) -> None:
    api.store = dict(api.archive)
    loaded = engine.load(archive, RELEASE, ignore, force=True)
    assert loaded.references == (REDIS.reference, MTA.reference)


def test_missing_archive(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"archive .*nowhere\.tar is missing") as caught:
        engine.load(tmp_path / "nowhere.tar", RELEASE, ignore)
    assert caught.value.hint


def test_short_archive(engine: Engine, api: FakeApi, archive: Path) -> None:
    api.load_error = "unexpected EOF"
    with pytest.raises(EngineError, match=r"cannot load .*containers\.tar: unexpected EOF$"):
        engine.load(archive, RELEASE, ignore)


def test_archive_with_other_images(engine: Engine, api: FakeApi, archive: Path) -> None:
    api.archive = {REDIS.reference: digest("e"), MTA.reference: MTA.config}
    with pytest.raises(EngineError, match=f"is not the image of this release .* got {digest('e')}"):
        engine.load(archive, RELEASE, ignore)
    api.archive = {MTA.reference: MTA.config}
    api.store.clear()
    with pytest.raises(EngineError, match="got no image"):
        engine.load(archive, RELEASE, ignore)


def test_prune_removes_only_what_no_release_needs(engine: Engine, api: FakeApi) -> None:
    old = make_image("mta", "7", "8")
    older = make_image("mta", "5", "6")
    used = make_image("redis", "3", "4")
    previous = Release("0.0.9", "ubuntu", "", "", "test", {"mta": old})
    for image in (old, older, used, *RELEASE.images.values()):
        api.store[image.reference] = image.config
    api.store["other/image:1"] = digest("0")
    api.in_use = {used.reference}
    assert engine.prune(RELEASE, previous) == (older.reference,)
    assert api.removed == [older.reference]
    assert engine.prune(RELEASE) == (old.reference,)


def test_containers(engine: Engine) -> None:
    mta, redis = engine.containers("mailstead")
    assert mta == Container(
        "1", "mta", "mailstead/it:1", digest("a"), "running", "172.19.0.2", 0, restarts=3
    )
    assert redis.address == ""
    assert engine.memory(mta) == 3000
    assert engine.memory(redis) is None


@pytest.mark.parametrize(
    "error",
    [
        docker.errors.DockerException("no"),
        requests.exceptions.ConnectionError("no"),
        ConnectionResetError("no"),
    ],
)
def test_errors_of_the_api_are_ours(
    engine: Engine, api: FakeApi, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_filters: object) -> None:
        raise error

    monkeypatch.setattr(api, "containers", fail)
    with pytest.raises(EngineError, match="Docker at unix:///nowhere failed"):
        engine.containers("mailstead")


def test_engine_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="Docker at unix:///") as caught:
        assert Engine(f"unix://{tmp_path}/docker.sock").version
    assert "running" in caught.value.hint


def test_compose_gets_a_clean_environment(
    engine: Engine, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COMPOSE_FILE", "/elsewhere")
    environment = tmp_path / "environment"
    programs.add("docker", f"/usr/bin/env > {environment}")
    engine.compose_up(Path("/run/compose.yaml"), "mailstead", ["mta", "redis"])
    engine.compose_down(Path("/run/compose.yaml"), "mailstead")
    start = ["docker", "compose", "--project-name", "mailstead", "--file", "/run/compose.yaml"]
    assert programs.calls == [
        [*start, "up", "--detach", "--no-build", "--remove-orphans", "mta", "redis"],
        [*start, "down", "--remove-orphans"],
    ]
    assert "DOCKER_HOST=unix:///nowhere" in environment.read_text()
    assert "COMPOSE_FILE" not in environment.read_text()


def test_compose_error_shows_its_output(engine: Engine, programs: FakePrograms) -> None:
    programs.add("docker", "echo no such image >&2; exit 1")
    with pytest.raises(EngineError, match=r"failed with exit code 1\n  no such image"):
        engine.compose_up(Path("compose.yaml"), "mailstead", ["mta"])


def test_services_that_are_not_needed_end(engine: Engine, programs: FakePrograms) -> None:
    programs.add("docker")
    engine.compose_up(Path("c.yaml"), "mailstead", ["mta", "redis"])
    engine.compose_up(Path("c.yaml"), "mailstead", ["mta"])
    assert [call[6] for call in programs.calls] == ["up", "up", "rm"]
    assert programs.calls[-1][6:] == ["rm", "--stop", "--force", "redis"]


def test_another_compose_command(programs: FakePrograms) -> None:
    programs.add("docker-compose")
    Engine("unix:///nowhere", compose=["docker-compose"]).compose_down(Path("c.yaml"), "p")
    assert programs.calls[0][0] == "docker-compose"

"""The Docker engine: images and containers through its SDK, Compose through its command line."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from firstboot.base.errors import CommandError, EngineError
from firstboot.base.release import REPOSITORY, Image, Release
from firstboot.base.run import run

Progress = Callable[[str], None]

SOCKET = "unix:///var/run/docker.sock"
# Loading sends nothing for as long as the engine unpacks, which takes minutes when emulated.
TIMEOUT_SECONDS = 900
COMPOSE_SECONDS = 900

_PROJECT_LABEL = "com.docker.compose.project"
_SERVICE_LABEL = "com.docker.compose.service"


@dataclass(frozen=True)
class Container:
    """A container of a Compose project, running or not.

    `status` is Docker's word ("running", "exited", …), `address` one of its IPv4 addresses ("" when
    it does not run); `image_id` is what it was made from; `restarts` counts since it was made.
    """

    id: str
    service: str
    image: str
    image_id: str
    status: str
    address: str
    exit_code: int
    restarts: int


@dataclass(frozen=True)
class Loaded:
    """What `Engine.load` did: which references it had to load, and the seconds that took."""

    references: tuple[str, ...]
    seconds: float


class Engine:
    """A Docker engine; `host` as in DOCKER_HOST, which counts when it is None.

    `compose` is the command of Compose. Every method raises EngineError when the engine cannot be
    reached or refuses.
    """

    def __init__(
        self, host: str | None = None, *, compose: Sequence[str] = ("docker", "compose")
    ) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or SOCKET
        self.compose = tuple(compose)

    @cached_property
    def _api(self) -> Any:
        # Imported here: the SDK takes longer to import than most commands run.
        import docker  # noqa: PLC0415

        with self._errors("engine"):
            return docker.APIClient(base_url=self.host, version="auto", timeout=TIMEOUT_SECONDS)

    @property
    def version(self) -> str:
        with self._errors("version"):
            return str(self._api.version()["Version"])

    # Images

    def load(
        self, archive: Path, release: Release, progress: Progress, *, force: bool = False
    ) -> Loaded:
        """Make sure that the engine has exactly the images of the release, loading what it lacks.

        An image counts as present when its tag has the id that the release names. Anything else is
        removed and loaded again, since a power cut can leave Docker's store with images that are
        listed but broken; `force` does so with all of them. Raises EngineError when the archive is
        missing or damaged, or when an image is still not right afterwards.
        """
        started = time.monotonic()
        wanted = release.images.values()
        lacking = [image for image in wanted if force or self.image_id(image) not in image.ids]
        if lacking:
            if not archive.is_file():
                raise EngineError(
                    f"the container archive {archive} is missing",
                    "The image that this system was made from is damaged: build it anew.",
                )
            for image in lacking:
                progress(f"loading {image.reference}")
                self._remove(image.reference)
            self._load(archive, progress)
        for image in lacking:
            found = self.image_id(image)
            if found not in image.ids:
                raise EngineError(
                    f"{image.reference} is not the image of this release after loading {archive}: "
                    f"expected {image.config} or {image.manifest}, got {found or 'no image'}",
                    "The container archive is damaged: build the image anew.",
                )
        return Loaded(
            tuple(image.reference for image in lacking), round(time.monotonic() - started, 3)
        )

    def image_id(self, image: Image) -> str | None:
        """The id that an image's tag has in the engine, None when it is absent or broken."""
        from docker.errors import APIError  # noqa: PLC0415 - see _api

        with self._errors("image"), contextlib.suppress(APIError):
            return str(self._api.inspect_image(image.reference)["Id"])
        return None

    def prune(self, *releases: Release) -> tuple[str, ...]:
        """Remove the images mailstead/* that none of the releases needs; returns their tags.

        Images that a container still uses stay.
        """
        kept = {image.reference for release in releases for image in release.images.values()}
        with self._errors("image list"):
            images = self._api.images(name=f"{REPOSITORY}/*")
        tags = {tag for image in images for tag in image.get("RepoTags") or ()}
        unneeded = {tag for tag in tags if tag.startswith(f"{REPOSITORY}/")} - kept
        return tuple(tag for tag in sorted(unneeded) if self._remove(tag, force=False))

    def _load(self, archive: Path, progress: Progress) -> None:
        with self._errors(f"loading {archive}"), archive.open("rb") as file:
            for event in self._api.load_image(file):
                if "error" in event:
                    raise EngineError(
                        f"the engine cannot load {archive}: {event['error'].strip()}",
                        "The container archive is damaged: build the image anew.",
                    )
                if text := event.get("stream", "").strip():
                    progress(text)

    def _remove(self, tag: str, *, force: bool = True) -> bool:
        from docker.errors import APIError  # noqa: PLC0415 - see _api

        # A broken image may refuse; loading over it, and the check afterwards, have the last word.
        with self._errors("image"), contextlib.suppress(APIError):
            self._api.remove_image(tag, force=force)
            return True
        return False

    # Containers

    def compose_up(self, compose_file: Path, project: str, services: Collection[str]) -> None:
        """Create and start what of these services differs from the file, remove all others."""
        words = ("up", "--detach", "--no-build", "--remove-orphans")
        self._compose(compose_file, project, *words, *services)
        others = {found.service for found in self.containers(project)} - {*services}
        if others:
            self._compose(compose_file, project, "rm", "--stop", "--force", *sorted(others))

    def compose_down(self, compose_file: Path, project: str) -> None:
        """Stop and remove containers and networks; state stays."""
        self._compose(compose_file, project, "down", "--remove-orphans")

    def containers(self, project: str | None = None) -> tuple[Container, ...]:
        """The containers of a Compose project, or all, by service; stopped ones included."""
        from docker.errors import NotFound  # noqa: PLC0415 - see _api

        found = []
        with self._errors("container list"):
            filters = {"label": f"{_PROJECT_LABEL}={project}"} if project else {}
            for entry in self._api.containers(all=True, filters=filters):
                # It may have gone since it was listed.
                with contextlib.suppress(NotFound):
                    found.append(_container(self._api.inspect_container(entry["Id"])))
        return tuple(sorted(found, key=lambda container: container.service))

    def memory(self, container: Container) -> int | None:
        """Bytes of memory that a container uses, without its reclaimable file cache."""
        with self._errors("statistics"):
            stats = self._api.stats(container.id, stream=False, one_shot=True)
        memory = stats.get("memory_stats", {})
        if "usage" not in memory:
            return None
        # As `docker stats` counts it: cgroup v2 calls it inactive_file, v1 total_inactive_file.
        detail = memory.get("stats", {})
        cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
        return max(0, int(memory["usage"]) - int(cache))

    def logs(self, container: Container, *, lines: int = 20) -> str:
        """The last lines that a container wrote."""
        with self._errors("logs"):
            output: bytes = self._api.logs(container.id, tail=lines)
        return output.decode(errors="replace")

    def logs_since(self, container: Container, since: int) -> str:
        """The lines since a time (seconds since 1970), each behind its own (RFC 3339, UTC)."""
        with self._errors("logs"):
            # Docker's library takes 0 for a mistake.
            output: bytes = self._api.logs(container.id, since=max(since, 1), timestamps=True)
        return output.decode(errors="replace")

    def execute(self, container: Container, argv: Sequence[str]) -> bytes:
        """Run a program in a running container; its output, which EngineError has when it fails.

        Standard output and standard error come as one.
        """
        with self._errors("exec"):
            process = self._api.exec_create(container.id, list(argv))
            output: bytes = self._api.exec_start(process)
            code = self._api.exec_inspect(process)["ExitCode"]
        if code != 0:
            raise EngineError(
                f"{' '.join(argv)} in {container.service} failed with exit code {code}\n"
                f"{output.decode(errors='replace')}"
            )
        return output

    def ask(
        self, container: Container, argv: Sequence[str], lines: Sequence[str]
    ) -> tuple[int, bytes]:
        """Run a program with `lines` on its standard input; its exit code and standard output.

        Secrets go this way: they stand on no command line and in no error. The input is not closed,
        so the program has to know how many lines it reads.
        """
        from docker.utils.socket import frames_iter  # noqa: PLC0415 - see _api

        with self._errors("exec"):
            process = self._api.exec_create(container.id, list(argv), stdin=True)
            stream = self._api.exec_start(process, socket=True)
            # What the SDK hands out can only be read from; the socket is below it.
            connection = getattr(stream, "_sock", stream)
            try:
                connection.sendall("".join(f"{line}\n" for line in lines).encode())
                # The SDK has no types here.
                frames: Any = frames_iter(stream, tty=False)  # type: ignore[no-untyped-call]
                output = b"".join(piece for kind, piece in frames if kind == 1)
            finally:
                stream.close()
            return int(self._api.exec_inspect(process)["ExitCode"]), output

    def _compose(self, compose_file: Path, project: str, *words: str) -> None:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/"),
            "DOCKER_HOST": self.host,
        }
        file = str(compose_file)
        argv = [*self.compose, "--project-name", project, "--file", file, *words]
        try:
            run(argv, env=environment, timeout=COMPOSE_SECONDS)
        except CommandError as error:
            raise EngineError(error.message, error.hint) from None

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn the SDK's and the connection's errors into ours."""
        from docker.errors import DockerException  # noqa: PLC0415 - see _api
        from requests.exceptions import RequestException  # noqa: PLC0415 - see _api

        try:
            yield
        except (DockerException, RequestException, OSError) as error:
            raise EngineError(
                f"Docker at {self.host} failed ({what}): {error}", "Is the Docker engine running?"
            ) from None


def _container(data: dict[str, Any]) -> Container:
    state, config = data["State"], data["Config"]
    networks = data["NetworkSettings"]["Networks"] or {}
    addresses = (network.get("IPAddress") for _name, network in sorted(networks.items()))
    return Container(
        id=data["Id"],
        service=(config.get("Labels") or {}).get(_SERVICE_LABEL, data["Name"].lstrip("/")),
        image=config["Image"],
        image_id=data["Image"],
        status=state["Status"],
        address=next(filter(None, addresses), ""),
        exit_code=state.get("ExitCode", 0),
        restarts=data.get("RestartCount", 0),
    )

"""Where one stack keeps its things, and the little that has to be remembered between two calls."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from firstboot.base.errors import StackError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths

FORMAT = 1


@dataclass(frozen=True)
class Record:
    """What `up` decided: the engine (as in DOCKER_HOST), and host ports by IANA service name.

    It is written before anything comes into being on the engine, so that `down` finds it whatever
    happened to `up`.
    """

    engine: str
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Home:
    """The directory of one stack, all of which `down` removes, and its Compose project."""

    folder: Path
    project: str

    @classmethod
    def of_user(cls) -> Home:
        """The stack of `tools/forge stack` (XDG base directory specification, XDG_STATE_HOME)."""
        base = Path(os.environ.get("XDG_STATE_HOME", ""))
        state = base if base.is_absolute() else Path.home() / ".local/state"
        return cls(state / "mailstead/stack", "mailstead-stack")

    @property
    def paths(self) -> Paths:
        """Its things as the appliance's own code looks for them."""
        return Paths.of_stack(self.folder)

    @property
    def config(self) -> Path:
        """The rendered stack: derived, made anew by each `up`."""
        return self.paths.stack

    @property
    def compose_file(self) -> Path:
        return self.config / "compose.yaml"

    @property
    def state(self) -> Path:
        """What the containers keep: mail, keys, secrets."""
        return self.folder / "state"

    @property
    def certificate(self) -> Path:
        """What its services show."""
        return self.config / "certificate.pem"

    def password_file(self, address: str) -> Path:
        """The file with the password of an example person, without a line end."""
        return self.folder / "passwords" / address

    @property
    def _record(self) -> Path:
        return self.folder / "stack.json"

    def read_record(self) -> Record | None:
        """What was written last; None when there is no stack. StackError when it is unreadable."""
        try:
            data = json.loads(self._record.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise ValueError(f"its format is {data['format']}, not {FORMAT}")
            ports = {str(name): int(port) for name, port in data["ports"].items()}
            return Record(str(data["engine"]), ports)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StackError(
                f"the record of the stack {self._record} cannot be read: {error}",
                f"Remove the containers of the Compose project {self.project}, then {self.folder}.",
            ) from None

    def write_record(self, record: Record) -> None:
        make_directory(self.folder, mode=0o700)
        data = {"format": FORMAT, **asdict(record)}
        write_atomic(self._record, json.dumps(data, indent=2) + "\n", mode=0o600)

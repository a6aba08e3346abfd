"""Where things are on the appliance, in one value that tests can move elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The appliance's own files: `share` is in the slot, `state` lasts, `runtime` does not."""

    settings: Path = Path("/state/settings.yaml")
    state_partition: Path = Path("/state")
    state: Path = Path("/state/mail")
    runtime: Path = Path("/run/mailstead")
    share: Path = Path("/usr/share/mailstead")
    etc: Path = Path("/etc")
    networkd: Path = Path("/run/systemd/network")

    @classmethod
    def below(cls, root: Path) -> Paths:
        """The same layout below another root directory."""
        return cls(**{f.name: root / str(f.default).lstrip("/") for f in fields(cls)})

    @property
    def loading(self) -> Path:
        """Stands while container images are being loaded."""
        return self.state_partition / "loading"

    @property
    def stack(self) -> Path:
        """The rendered stack, made anew on each boot."""
        return self.runtime / "stack"

    @property
    def compose_file(self) -> Path:
        return self.stack / "compose.yaml"

    @property
    def release(self) -> Path:
        return self.share / "release.json"

    @property
    def archive(self) -> Path:
        """The container images as an OCI archive."""
        return self.share / "containers.tar"

    @property
    def templates(self) -> Path:
        return self.share / "compose"

    @property
    def services(self) -> Path:
        return self.templates / "services.yaml"

    @property
    def certificate(self) -> Path:
        return self.state / "tls" / "certificate.pem"

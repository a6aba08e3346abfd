"""What of a machine survives a power loss: its disk, its UEFI variables and its TPM.

They belong together: a disk sealed by one TPM does not open under another. A `Disk` outlives the
`Machine` that boots it, and is cheap to copy once it is provisioned.
"""

from __future__ import annotations

import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.run import run
from tools.vm.errors import VirtualMachineError

_QCOW2_MAGIC = b"QFI\xfb"


@dataclass(frozen=True)
class Disk:
    """A folder with the writable overlay of an image and the state of the board around it."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, image: Path, *, size: int | None = None) -> Disk:
        """Make an overlay of a raw or qcow2 image, which is never written.

        `size` in bytes is what the guest sees, at least the image's (its default). `folder` must
        not hold a disk yet. Raises VirtualMachineError for a missing image or a size too small.
        """
        form, image_size = inspect_image(image)
        size = image_size if size is None else size
        if size < image_size:
            raise VirtualMachineError(
                f"a disk of {size} bytes is smaller than its image {image} ({image_size} bytes)",
                hint="Ask for a bigger disk.",
            )
        disk = cls(folder)
        if disk.path.exists():
            raise VirtualMachineError(
                f"there is a disk in {folder} already", hint="Choose an empty folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        backing: list[str | Path] = ["-b", disk._hold(image.resolve()), "-F", form]
        run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, disk.path, str(size)])
        return disk

    @classmethod
    def empty(cls, folder: Path, *, size: int) -> Disk:
        """Make a disk of `size` bytes that holds nothing."""
        disk = cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        run(["qemu-img", "create", "-q", "-f", "qcow2", disk.path, str(size)])
        return disk

    def _hold(self, image: Path) -> Path:
        """The image by a name of our own, so that it stays when the build's results are tidied up.

        Its own name where there can be no other, such as on another file system.
        """
        held = self.folder / "image"
        try:
            held.hardlink_to(image)
        except OSError:
            return image
        return held

    @property
    def path(self) -> Path:
        """The qcow2 overlay."""
        return self.folder / "disk.qcow2"

    @property
    def variables(self) -> Path:
        """The UEFI variable store; made from the firmware's template by the first boot."""
        return self.folder / "variables.fd"

    @property
    def tpm(self) -> Path:
        """The folder of the TPM's state; filled by the first boot."""
        return self.folder / "tpm"

    @property
    def frozen(self) -> bool:
        """Whether clones depend on this disk, so that it must not change any more."""
        return not self.path.stat().st_mode & stat.S_IWUSR

    def clone(self, folder: Path, *, same_board: bool = True) -> Disk:
        """A copy that can be booted, for the price of an empty overlay.

        Freezes this disk: a machine refuses to boot it from now on. It must not be running.
        `same_board=False` puts the copy into new hardware: fresh UEFI variables, another TPM.
        """
        self.path.chmod(0o444)
        copy = Disk.create(folder, self.path)
        if same_board and self.variables.exists():
            shutil.copyfile(self.variables, copy.variables)
        if same_board and self.tpm.exists():
            shutil.copytree(self.tpm, copy.tpm, ignore=shutil.ignore_patterns(".lock"))
        return copy


def inspect_image(image: Path) -> tuple[str, int]:
    """An image's format (`raw` or `qcow2`) and the bytes that a guest sees of it.

    Reads the qcow2 header (QEMU, docs/interop/qcow2.txt) and takes everything else for raw.
    """
    try:
        with image.open("rb") as file:
            header = file.read(32)
    except OSError as error:
        raise VirtualMachineError(
            f"cannot read the disk image {image}: {error.strerror}", hint="Build an image first."
        ) from error
    if header.startswith(_QCOW2_MAGIC):
        return "qcow2", int.from_bytes(header[24:32], "big")
    return "raw", image.stat().st_size

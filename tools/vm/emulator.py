"""Which QEMU emulates a processor, and which processor it emulates fastest.

A host's own QEMU may be years old. The tools tree that images are built with has a recent one,
which starts through that tree's own dynamic loader, so that it finds its libraries on any host.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROGRAM = "qemu-system-x86_64"

# The plainest processor: in older versions, emulated vector instructions are slower than code that
# does without them. But for AES, which the disk is encrypted with; programs that use its
# instructions expect those before it, too.
_PLAIN = "qemu64,+ssse3,+sse4.1,+sse4.2,+aes,+pclmulqdq"
# Since QEMU 9 there are instructions for SHA-256, which every block of the system and every layer
# of a container is checked with; programs use them together with AVX. Linux sees a processor of
# family 4, which does not speculate: it needs none of the detours that are dear to emulate.
_RICH = (
    f"{_PLAIN},family=4,+sha-ni,+avx,+avx2,+bmi1,+bmi2,+fma,+movbe,+popcnt,+f16c,+abm"
    ",+xsave,+xsaveopt,+fsgsbase,+rdrand,+rdseed"
)
_LOADER = Path("lib64/ld-linux-x86-64.so.2")
_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
_DATA = (Path("usr/share/qemu"), Path("usr/share/seabios"))


@dataclass(frozen=True)
class Emulator:
    """QEMU's command without its arguments, and the value of `-cpu` for it."""

    command: tuple[str, ...]
    processor: str


HOST = Emulator((PROGRAM,), _PLAIN)


def find_emulator(trees: Path) -> Emulator:
    """The QEMU of the newest tools tree among the build's results in `trees`, else the host's."""
    programs = trees.glob(f"*/tools-tree-*/tools/usr/bin/{PROGRAM}")
    newest = max(programs, key=lambda program: program.stat().st_mtime, default=None)
    return HOST if newest is None else _of_tree(newest.parents[2])


def _of_tree(tree: Path) -> Emulator:
    """It cannot find its modules and its data by itself, since it is not what the kernel starts."""
    libraries = tree / _LIBRARIES
    data = [part for folder in _DATA for part in ("-L", str(tree / folder))]
    command = [
        *("env", f"QEMU_MODULE_DIR={libraries / 'qemu'}"),
        *(str(tree / _LOADER), "--library-path", str(libraries)),
        *(str(tree / "usr/bin" / PROGRAM), *data),
    ]
    return Emulator(tuple(command), _RICH)

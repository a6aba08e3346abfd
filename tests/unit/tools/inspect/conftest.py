"""Programs that pretend to read file systems, and a cache of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tools.inspect.samples import Sample

# Each finds the content of an image in the folder that Sample.write() has put beside it; that of
# an unpacked one lies beside the packed one, which the fake zstd remembers.
_DUMP = """\
case "$1" in --help) echo "$DUMP_EROFS_HELP"; exit;; esac
content=$4.content
[ -d "$content" ] || content=$(cat "$4.from").content
file=$content/root${3#--path=}
if [ -f "$file" ]; then cat "$file"; else echo "<E> erofs: read inode failed" >&2; fi
"""
_MCOPY = """\
image=${3%@@*}
content=$image.content
[ -d "$content" ] || content=$(cat "$image.from").content
cp "$content"/esp/*.efi "$5"
"""
_ZSTD = """\
tail -c +5 "$4" > "$6"
echo "${4%.zst}" > "$6.from"
"""


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the fake programs, first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in {"dump.erofs": _DUMP, "mcopy": _MCOPY, "zstd": _ZSTD}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("DUMP_EROFS_HELP", " --cat show file contents")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own cache, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "mailstead"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """An image that has not been written yet."""
    return Sample(tmp_path)

"""Our own code, compiled for a container by the Python of a tools tree (here: the host's)."""

from __future__ import annotations

import marshal
from pathlib import Path
from types import CodeType

import pytest

from tools.build.dependencies import compile_python
from tools.build.errors import BuildError

_HEADER_BYTES = 16  # importlib: magic number, flags, hash of the source


def test_errors_name_files_as_they_are_in_the_container(tmp_path: Path) -> None:
    package = tmp_path / "usr/lib/ours"
    package.mkdir(parents=True)
    (package / "one.py").write_text("x = 1\n")
    compile_python(package, below=tmp_path, tools=None)
    (compiled,) = package.rglob("*.pyc")
    content = compiled.read_bytes()
    # Flags 1: by the hash of the source, which is never checked (PEP 552).
    assert int.from_bytes(content[4:8], "little") == 1
    code = marshal.loads(content[_HEADER_BYTES:])  # noqa: S302 - made a moment ago
    assert isinstance(code, CodeType)
    assert code.co_filename == "/usr/lib/ours/one.py"


def test_what_is_no_python_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def :\n")
    with pytest.raises(BuildError, match="invalid syntax"):
        compile_python(tmp_path, below=tmp_path, tools=None)

"""The architecture, held by the syntax trees: who may import whom, and who may start processes.

The rules are those of docs/ and of the brief that the project was made from; each test names one.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.base.run import run

CHECKOUT = Path(__file__).parents[2]
FOLDERS = {".ci", "compose", "docs", "firstboot", "images", "tests", "tools"}
FILES = {"LICENSE", "NEWS.md", "README.md", "mkosi.conf", "pyproject.toml"}
OURS = {"firstboot", "postmaster", "tests", "tools"}
# The one run(), and the one place for programs that outlive a call.
STARTERS = {"firstboot/base/run.py", "tools/vm/processes.py"}
# It becomes the Python of the virtual environment, and does not come back.
REPLACES_ITSELF = "tools/forge"
PROCESS_MODULES = {"_posixsubprocess", "multiprocessing", "pty", "subprocess"}
PROCESS_CALL = re.compile(
    r"os\.(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawn\w*)"
    r"|asyncio\.(subprocess\b.*|create_subprocess_\w+)"
)
# Names that nobody can register (RFC 2606, RFC 6761), addresses for documentation (RFC 5737,
# RFC 3849), pages that explain something to people, names of XML's vocabularies, containers and
# sockets, and the authority that certificates come from unless the settings name another one.
HARMLESS_HOST = re.compile(
    r"(.+\.)?(test|example|invalid|localhost|example\.(com|net|org))|127\.0\.0\.1|\[::1\]"
    r"|192\.0\.2\.\d+|\[2001:db8:[0-9a-f:]*\]"
    r"|schemas\.microsoft\.com|www\.apple\.com|calendarserver\.org|admin|dav|unix"
    r"|www\.(apache|freedesktop|w3)\.org|acme-v02\.api\.letsencrypt\.org"
)


@functools.cache
def tracked() -> tuple[str, ...]:
    """Every file that is in the repository or about to be, by its path from the top."""
    # A checkout that somebody else owns is read all the same.
    git = ("git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT), "ls-files", "-z")
    listed = run([*git, "--cached", "--others", "--exclude-standard"]).stdout
    return tuple(sorted(name for name in listed.split("\0") if (CHECKOUT / name).is_file()))


@functools.cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of each Python file, by its path from the top."""
    names = [name for name in tracked() if name.endswith(".py") or name == REPLACES_ITSELF]
    return {name: ast.parse((CHECKOUT / name).read_text(encoding="utf-8")) for name in names}


def module_name(path: str) -> str:
    """How a file is imported: `compose/postmaster/cli.py` is `postmaster.cli`."""
    name = path.removeprefix("compose/").removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")


def imports(path: str, tree: ast.Module) -> Iterator[str]:
    """Dotted names that a module imports, down to what it takes out of another module."""
    package = module_name(path).split(".")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def is_below(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def allowed(name: str) -> set[str]:
    """What of ours the module `name` may import."""
    root, _, rest = name.partition(".")
    part = f"{root}.{rest.partition('.')[0]}"
    if root == "tests":
        return OURS
    if root == "tools":
        return {"tools", "firstboot.base"}
    if root == "postmaster":
        return {"postmaster"}
    if part in {"firstboot.cli", "firstboot.__main__"}:
        return {"firstboot"}
    if part == "firstboot.base":
        return {part}
    # Features know nothing of each other.
    return {"firstboot.base", "firstboot.system", part} if rest else set()


def used_calls(tree: ast.Module) -> Iterator[str]:
    """Dotted names of what is taken from modules, under whatever name they were imported."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{names.get(node.value.id, node.value.id)}.{node.attr}"


def test_the_top_level_tells_the_architecture() -> None:
    folders = {name.partition("/")[0] for name in tracked() if "/" in name}
    assert folders == FOLDERS
    assert {name for name in tracked() if "/" not in name and name[0] != "."} == FILES


def test_imports_go_one_way() -> None:
    wrong = [
        f"{path} imports {name}"
        for path, tree in modules().items()
        for name in imports(path, tree)
        if is_below(name, OURS | {"compose"}) and not is_below(name, allowed(module_name(path)))
    ]
    assert wrong == []


def test_modules_are_imported_by_name_only() -> None:
    hidden = {"importlib.import_module", "importlib.__import__", "builtins.__import__"}
    wrong = [
        path
        for path, tree in modules().items()
        if not path.startswith("tests/")
        and (
            hidden & set(used_calls(tree))
            or any(
                isinstance(node, ast.Name) and node.id == "__import__" for node in ast.walk(tree)
            )
        )
    ]
    assert wrong == []


def test_processes_start_in_one_place() -> None:
    wrong = [
        f"{path} uses {name}"
        for path, tree in modules().items()
        if path not in STARTERS and not path.startswith("tests/")
        for name in (*imports(path, tree), *used_calls(tree))
        if is_below(name, PROCESS_MODULES)
        or (PROCESS_CALL.fullmatch(name) and (path, name) != (REPLACES_ITSELF, "os.execve"))
    ]
    assert wrong == []


def test_every_module_says_why_it_exists() -> None:
    assert [path for path, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_images_hold_no_python() -> None:
    wrong = []
    for name in tracked():
        if name.startswith("images/"):
            first = (CHECKOUT / name).read_bytes().partition(b"\n")[0]
            if name.endswith(".py") or (first.startswith(b"#!") and b"python" in first):
                wrong.append(name)
    assert wrong == []


def test_no_address_of_a_registry_or_archive_is_written_down() -> None:
    wrong = []
    for name in tracked():
        if not name.endswith(".md"):
            text = (CHECKOUT / name).read_bytes().decode(errors="replace")
            hosts = re.findall(r"https?://([\w.:\[\]-]*[\w\]])", text)
            wrong += [
                f"{name}: {host}"
                for host in hosts
                if not HARMLESS_HOST.fullmatch(re.sub(r":\d+$", "", host))
            ]
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("firstboot/setup/a.py", "from ..system import disk", "firstboot.system.disk"),
        ("firstboot/setup/__init__.py", "from . import seed", "firstboot.setup.seed"),
        ("firstboot/setup/a.py", "from firstboot import checks", "firstboot.checks"),
        ("compose/postmaster/a.py", "def f():\n    import tools.vm", "tools.vm"),
    ],
)
def test_the_reader_of_imports_sees_through(path: str, text: str, found: str) -> None:
    assert list(imports(path, ast.parse(text))) == [found]


@pytest.mark.parametrize(
    ("importer", "imported", "fine"),
    [
        ("firstboot.base.run", "firstboot.system.disk", False),
        ("firstboot.system.disk", "firstboot.base.run", True),
        ("firstboot.system.disk", "firstboot.setup.seed", False),
        ("firstboot.setup.seed", "firstboot.system.disk", True),
        ("firstboot.setup.seed", "firstboot.checks.check", False),
        ("firstboot.cli", "firstboot.checks.check", True),
        ("firstboot.cli", "tools.vm", False),
        ("firstboot", "firstboot.base", False),
        ("tools.vm.disk", "firstboot.base.run.run", True),
        ("tools.vm.disk", "firstboot.baseline", False),
        ("tools.vm.disk", "firstboot.system.disk", False),
        ("postmaster.cli", "firstboot.base", False),
        ("postmaster.cli", "tests.unit", False),
        ("tests.unit.x", "postmaster.cli", True),
    ],
)
def test_the_rules_of_imports_are_those_of_the_design(
    importer: str, imported: str, fine: bool
) -> None:
    assert is_below(imported, allowed(importer)) is fine


@pytest.mark.parametrize(
    "text",
    [
        "import os as o\no.execvp('x', [])",
        "from os import system",
        "import asyncio\nasyncio.create_subprocess_exec('x')",
        "import os\nos.posix_spawnp('x', [], {})",
    ],
)
def test_the_reader_of_calls_sees_processes(text: str) -> None:
    assert any(PROCESS_CALL.fullmatch(name) for name in used_calls(ast.parse(text)))

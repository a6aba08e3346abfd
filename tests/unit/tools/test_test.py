"""What `tools/forge test` hands to pytest."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tools.checks import commands


@pytest.mark.parametrize(
    ("words", "paths", "verbs"),
    [
        ((), [f"tests/{suite}" for suite in commands.SUITES], ["test"]),
        (("unit", "-k", "settings"), ["tests/unit"], ["unit"]),
        (("-n0", "tests/unit/test_docs.py"), ["tests/unit/test_docs.py"], ["unit"]),
        (("tests/web/test_setup.py::test_x", "-q"), ["tests/web/test_setup.py::test_x"], ["web"]),
        (
            ("tests/unit/a.py", "tests/stack/b.py"),
            ["tests/unit/a.py", "tests/stack/b.py"],
            ["test"],
        ),
    ],
)
def test_what_runs_is_what_was_named(
    words: tuple[str, ...], paths: list[str], verbs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    needed: list[str] = []
    monkeypatch.setattr(commands, "ensure_for", lambda verb, _report: needed.append(verb))
    monkeypatch.setattr(commands, "use_restic", lambda **_: None)
    monkeypatch.setattr(commands, "ensure_judges", lambda _report: None)
    monkeypatch.setattr(commands, "reap_leftovers", lambda: None)

    def run_nothing(argv: list[str], **_: object) -> int:
        seen.append(argv)
        return 0

    monkeypatch.setattr(pytest, "main", run_nothing)
    done = CliRunner().invoke(commands.test, list(words), standalone_mode=False)
    assert done.exception is None
    assert [word for word in seen[0] if word.startswith("tests/")] == paths
    assert needed == verbs

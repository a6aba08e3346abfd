"""The list of what a backup holds, against all that lasts."""

from __future__ import annotations

from firstboot.backup.contents import BACKED_UP, LEFT_OUT, Item, LeftOut, covers
from tests.states.places import CHECKOUT, places
from tests.states.table import rows

DECISIONS: tuple[Item | LeftOut, ...] = (*BACKED_UP, *LEFT_OUT)


def decisions(name: str) -> list[str]:
    """The entries of the list that are about a path."""
    return [item.path for item in DECISIONS if covers(item.path, name)]


def test_every_path_that_lasts_is_backed_up_or_left_out() -> None:
    assert {row.path: decisions(row.path) for row in rows() if len(decisions(row.path)) != 1} == {}


def test_every_entry_is_about_something_that_lasts() -> None:
    names = {*(row.path for row in rows()), *places()}
    unknown = [
        item.path
        for item in DECISIONS
        if not any(covers(item.path, name) or f"{name}/" == item.path for name in names)
    ]
    assert unknown == []


def test_every_entry_has_its_reason_in_the_documentation() -> None:
    text = (CHECKOUT / "docs" / "backup.md").read_text(encoding="utf-8")
    for item in DECISIONS:
        assert f"| `{item.path}` | {item.why} |" in text


def test_what_moves_is_captured_upstream_first() -> None:
    order = [item.path for item in BACKED_UP]
    upstream = ["mail/mta/spool/", "mail/mailstore/spool/", "mail/mailstore/vaults/"]
    assert sorted(upstream, key=order.index) == upstream

"""What the limits on sending must be; no I/O."""

from __future__ import annotations

from typing import Any

from firstboot.base.located import Located, Plain

MOST = 1_000_000
# A person who writes to everybody at once, such as a club's secretary, has 200 recipients in an
# hour; a thief sends to thousands. The machine has room for some such people, not for many.
DEFAULTS = {"person_hour": 200, "person_day": 1000, "machine_hour": 600, "machine_day": 3000}
# Each with one that must not be lower.
_ORDER = (
    ("person_hour", "person_day"),
    ("machine_hour", "machine_day"),
    ("person_hour", "machine_hour"),
    ("person_day", "machine_day"),
)


def limit_problem(value: Any) -> str | None:
    """For a number of recipients, or the text `none`."""
    if value == "none" or (type(value) is int and 1 <= value <= MOST):
        return None
    return f"expected a number from 1 to {MOST}, or none"


def check_limits(document: Located) -> None:
    """Note a limit that another one would never let anybody reach."""
    root = document.value
    given = root.get("limits") if isinstance(root, dict) else None
    if not isinstance(given, dict):
        return
    limits: dict[str, Plain] = {**DEFAULTS, **given}
    for lower, higher in _ORDER:
        place = ("limits", lower if lower in given else higher)
        first, second = _number(limits[lower]), _number(limits[higher])
        if first is None or second is None or first <= second or document.wrong(place):
            continue
        if lower in given:
            text = f"expected at most {second}, which is limits.{higher}, got {limits[lower]}"
        else:
            text = f"expected at least {first}, which is limits.{lower}, got {limits[higher]}"
        document.add(place, text)


def _number(limit: Plain) -> float | None:
    """How many, infinite for `none`; None for what is no limit at all."""
    if limit == "none":
        return float("inf")
    return limit if type(limit) is int and limit >= 1 else None

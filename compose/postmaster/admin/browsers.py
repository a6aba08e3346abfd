"""What a browser says that it is, in words that people know: for lists, never for rights."""

from __future__ import annotations

# The first that is found counts: browsers name those that they resemble, too.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_of(agent: str) -> str:
    """Return such as `Firefox, Linux` for a User-Agent, "" when it says nothing that is known."""
    found = [
        next((name for mark, name in names if mark in agent), "") for names in (_PROGRAMS, _SYSTEMS)
    ]
    return ", ".join(name for name in found if name)

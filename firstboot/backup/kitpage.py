"""The recovery kit as one page of PDF, for the printer: the code in groups and as a QR code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firstboot.backup.keys import Recovery
from firstboot.backup.kit import Opening, laptop_lines, least_restic, needs
from firstboot.backup.pdf import BOLD, FIXED, HEIGHT, PLAIN, WIDTH, Page, text_width, wrap

Modules = Sequence[Sequence[bool]]

_MARGIN = 50.0
_INNER = WIDTH - 2 * _MARGIN
_BOTTOM = HEIGHT - 46.0
_SIZE, _LEADING = 9.5, 12.5
_CODE_SIZE, _BOX, _QR = 25.0, 142.0, 118.0
# The margin that readers want around the code (ISO/IEC 18004), in modules.
_QUIET = 4
_FIRST_ROW = 4  # groups
_GREY = 0.4


@dataclass(frozen=True)
class Kit:
    """What is on the page. `printed` is the day on which it was made, as 2026-11-30."""

    hostname: str
    recovery: Recovery
    openings: Sequence[Opening]
    modules: Modules
    printed: str


def kit_pdf(kit: Kit) -> bytes:
    """The page. Of more places than it has room for the first are on it, and how many others."""
    shown = len(kit.openings)
    while True:
        drawing = _Drawing(Page(f"Recovery kit {kit.recovery.kit} of {kit.hostname}"))
        _draw(drawing, kit, kit.openings[:shown])
        if drawing.y <= _BOTTOM or not shown:
            return drawing.page.dump()
        shown -= 1


@dataclass
class _Drawing:
    """A page, and how far down from its top it is filled."""

    page: Page
    y: float = _MARGIN

    def heading(self, text: str) -> None:
        self.y += 23
        self.page.text(_MARGIN, self.y, text, font=BOLD, size=12)
        self.page.bar(_MARGIN, self.y + 4, _INNER, 0.6)
        self.y += 6

    def paragraph(
        self, text: str, *, indent: float = 0, font: str = PLAIN, size: float = _SIZE
    ) -> None:
        for line in wrap(text, width=_INNER - indent, font=font, size=size):
            self.y += _LEADING
            self.page.text(_MARGIN + indent, self.y, line, font=font, size=size)

    def step(self, number: int, text: str) -> None:
        self.page.text(_MARGIN, self.y + _LEADING, f"{number}", font=BOLD, size=_SIZE)
        self.paragraph(text, indent=14)

    def shell(self, line: str) -> None:
        """A line for a shell: as wide as it is, in smaller letters if it has to be."""
        size = min(8.5, 8.5 * (_INNER - 14) / text_width(line, font=FIXED, size=8.5))
        self.y += 11
        self.page.text(_MARGIN + 14, self.y, line, font=FIXED, size=size)


def _draw(drawing: _Drawing, kit: Kit, shown: Sequence[Opening]) -> None:
    _draw_head(drawing, kit)
    _draw_code(drawing, kit)
    _draw_purpose(drawing)
    _draw_places(drawing, kit, shown)
    _draw_steps(drawing)
    _draw_laptop(drawing, shown)


def _draw_head(drawing: _Drawing, kit: Kit) -> None:
    page = drawing.page
    facts = (f"kit {kit.recovery.kit}", f"code of {kit.recovery.created[:10]}")
    for row, fact in enumerate((*facts, f"page of {kit.printed}")):
        x = WIDTH - _MARGIN - text_width(fact, size=9)
        page.text(x, _MARGIN + 10 + 12 * row, fact, size=9, grey=_GREY)
    page.text(_MARGIN, _MARGIN + 10, "RECOVERY KIT of the mail server", size=9, grey=_GREY)
    room = _INNER - 90
    size = min(22.0, 22 * room / text_width(kit.hostname, font=BOLD, size=22))
    # A name that is longer than any that people choose goes on over several lines.
    size = max(size, 9.0)
    drawing.y += 14
    for line in wrap(kit.hostname, width=room, font=BOLD, size=size):
        drawing.y += size
        page.text(_MARGIN, drawing.y, line, font=BOLD, size=size)
    drawing.y += 12


def _draw_code(drawing: _Drawing, kit: Kit) -> None:
    page, top, left = drawing.page, drawing.y, _MARGIN + 14
    page.frame(_MARGIN, top, _INNER, _BOX, line=1.2)
    page.text(left, top + 20, "The recovery code", font=BOLD, size=12)
    groups = kit.recovery.groups
    width = text_width("0000-", font=FIXED, size=_CODE_SIZE)
    for number, group in enumerate(groups):
        row, column = divmod(number, _FIRST_ROW)
        x, y = left + column * width, top + 50 + 42 * row
        hyphen = "-" if number + 1 < len(groups) else ""
        page.text(x, y, f"{group}{hyphen}", font=FIXED, size=_CODE_SIZE)
        page.text(x, y + 13, f"group {number + 1}", size=7, grey=_GREY)
    note = "There is no i, l, o or u in it: what looks like one is the digit 1 or 0, or a v."
    page.text(left, top + _BOX - 14, note, size=8.5)
    _draw_modules(page, kit.modules, WIDTH - _MARGIN - 12 - _QR, top + (_BOX - _QR) / 2)
    drawing.y += _BOX


def _draw_modules(page: Page, modules: Modules, x: float, y: float) -> None:
    """The QR code and its margin, `_QR` wide; dark modules side by side are one bar."""
    step = _QR / (len(modules) + 2 * _QUIET)
    for row, line in enumerate(modules):
        column = 0
        while column < len(line):
            end = column
            while end < len(line) and line[end]:
                end += 1
            if end > column:
                left, top = x + (_QUIET + column) * step, y + (_QUIET + row) * step
                page.bar(left, top, (end - column) * step, step)
            column = max(end, column + 1)


def _draw_purpose(drawing: _Drawing) -> None:
    drawing.heading("What it is")
    drawing.paragraph(
        "With this code and a backup the mail server comes back on another machine, when it is "
        "broken, stolen or lost. The code opens the backups: settings, keys and addresses. Mail, "
        "calendars and contacts in them stay locked under each person's own password, which this "
        "page does not replace."
    )
    drawing.y += 4
    drawing.paragraph(
        "Keep it on paper and away from the machine, as you keep a passport. Whoever has it and "
        "gets at the backups can restore them. If it is lost, make another code in the machine's "
        "menu (Set up backups, Make another code): then this page opens only copies of backups "
        "that somebody made before."
    )


def _draw_places(drawing: _Drawing, kit: Kit, shown: Sequence[Opening]) -> None:
    drawing.heading("Where the backups are")
    if not kit.openings:
        drawing.paragraph("Nowhere yet. Print this page again when a place is set up.")
    for opening in shown:
        drawing.y += 2
        drawing.paragraph(opening.repository, font=FIXED)
        drawing.paragraph(f"{opening.name}: needs {needs(opening)}", indent=14)
        if opening.problem:
            drawing.paragraph(
                f"NOT OPENED BY THIS CODE YET: {opening.problem}", indent=14, font=BOLD
            )
    if left := len(kit.openings) - len(shown):
        drawing.paragraph(f"and {left} more: `mailstead backup kit` shows them all", font=BOLD)
    drawing.y += 22
    text = "What it takes to get in there I keep at:"
    drawing.page.text(_MARGIN, drawing.y, text, size=_SIZE)
    begin = text_width(text, size=_SIZE) + 6
    drawing.page.bar(_MARGIN + begin, drawing.y + 2, _INNER - begin, 0.5, grey=_GREY)


def _draw_steps(drawing: _Drawing) -> None:
    drawing.heading("When the machine is gone")
    steps = (
        "Take another machine with a disk at least as large as what was used of the old one. "
        "Write Mailstead's image to its disk and start it.",
        "At its screen and keyboard press Enter, then 2: Restore from a backup.",
        "Type where the backups are, as above, what it takes to get in there, and the code. What "
        "cannot be typed, such as a private key for SFTP, goes into a file on a USB stick: "
        "docs/backup.md of Mailstead, By a seed.",
        "Wait until it says ready. Mail, passwords and settings are as at the last backup.",
        "In its menu, DNS shows which records have to lead to the new machine.",
    )
    for number, text in enumerate(steps, start=1):
        drawing.step(number, text)


def _draw_laptop(drawing: _Drawing, shown: Sequence[Opening]) -> None:
    version = least_restic(shown)
    drawing.heading(f"Without Mailstead: on any computer with restic {version} or newer")
    for line in laptop_lines(shown):
        drawing.shell(line.strip())
    drawing.y += 3
    one = "Of several places, take the lines of one. " if len(shown) > 1 else ""
    drawing.paragraph(
        f"{one}restic asks for the password: that is the code, in small letters, with its hyphens. "
        "docs/vault.md of Mailstead tells how a person's password opens a vault "
        "(mail/mailstore/vaults)."
    )

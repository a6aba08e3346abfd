"""A terminal from power-on to power-off: the log, until somebody presses a key, then screens.

While nobody does, the lines of `mailstead boot` and `start` go over it as they come. While a screen
is shown they are held back from it, and shown afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firstboot.base.errors import MailsteadError
from firstboot.base.waiting import wait_for
from firstboot.console import screens
from firstboot.console.pages import Pages
from firstboot.system.keyboard import ENTER, ESCAPE, GONE, IDLE, Terminal
from firstboot.system.seats import Seat

# How soon a terminal is given to somebody else who asks for it.
POLL_SECONDS = 1.0
# A console that somebody walked away from is the log's again.
IDLE_SECONDS = 600.0
REFRESH_SECONDS = 30.0
LOG_LINES = 15
# How long the machine may take to look at settings that were handed over.
REFUSAL_SECONDS = 5.0
# Keys by which somebody goes, and what stands for nobody being there.
AWAY = frozenset({ESCAPE, GONE, IDLE, "q"})


class _AwayError(Exception):
    """Somebody has read enough."""


@dataclass(frozen=True)
class Offers:
    """What can be done at a console; all of it is done by other features.

    `look` has each line told of what the checks find: those of one that is not right begin with one
    of `screens.NOT_RIGHT`, what belongs to the same check with a blank. `set_up` asks the questions
    and is true when settings were handed over; `restore` is true when a restore is ready to be put
    in place. `invitation` tells how to do so in a browser. `menu` asks for the administrator's
    password first. `kit` has the recovery kit of the backups kept, where there is a place for them
    and nobody has yet.
    """

    is_set_up: Callable[[], bool]
    set_up: Callable[[], bool]
    take_back: Callable[[], None]
    restore: Callable[[], bool]
    look: Callable[[Callable[[str], None]], None]
    invitation: Callable[[], Sequence[str]]
    new_code: Callable[[], None]
    status: Callable[[], Sequence[str]]
    menu: Callable[[], None]
    wants_kit: Callable[[], bool]
    kit: Callable[[], None]


@dataclass
class Session:
    """Somebody's way through the screens of one terminal. `progress` is the machine's log."""

    terminal: Terminal
    seat: Seat
    offers: Offers
    progress: Path
    _idle: float = field(default=0.0, init=False)
    _has_looked: bool = field(default=False, init=False)

    def attend(self) -> None:
        """Serve the next one who comes, until they leave.

        Whoever runs this begins it anew then, which gives back the memory that it took.
        """
        if self._sleep():
            with self.seat.drawing(), contextlib.suppress(KeyboardInterrupt):
                try:
                    self._after() if self.offers.is_set_up() else self._before()
                except MailsteadError as error:
                    self._tell("Error", (*str(error).splitlines(), error.hint))
            self._show_log()

    def _sleep(self) -> bool:
        """Wait for Enter; False when the terminal has gone."""
        while True:
            self.seat.take()
            with contextlib.suppress(KeyboardInterrupt):
                # A serial line may bring noise, but seldom that.
                key = self.terminal.key(POLL_SECONDS)
                if key in {ENTER, GONE}:
                    return key == ENTER

    def _before(self) -> None:
        choices = {
            "1": self._set_up,
            "2": self._restore,
            "3": self._diagnose,
            "4": self._show_invitation,
        }
        while not self.offers.is_set_up():
            lines = screens.start_lines(())
            key = self._ask("Setup", lines, screens.START_KEYS)
            if key in AWAY:
                return
            if key in choices:
                choices[key]()
        if self._key(IDLE_SECONDS) == ENTER:
            self._after()

    def _set_up(self) -> None:
        if not self._has_looked and not self._look():
            return
        self._has_looked = True
        while self.offers.set_up():
            with self.seat.left():
                taken = self._follow()
            if taken:
                self._offer_kit()
                return
            self.offers.take_back()
            if self._key(IDLE_SECONDS) in {GONE, IDLE}:
                return

    def _restore(self) -> None:
        self.terminal.clear()
        self.terminal.write("\n".join(screens.RESTORE) + "\n")
        if self.offers.restore():
            with self.seat.left():
                self._follow()
            return
        self.terminal.write("\nPress Enter to go on. ")
        self._key(IDLE_SECONDS)

    def _follow(self) -> bool:
        """Let the log tell how the setup goes; True when the machine has taken the settings.

        The lines come by themselves, since no screen is drawn meanwhile.
        """
        begin = len(self._lines())
        self.terminal.clear()
        self.terminal.write("\n".join(screens.SETTING_UP) + "\n")

        def taken() -> bool:
            failed = any(line.startswith("error: ") for line in self._lines()[begin:])
            return self.offers.is_set_up() or failed

        wait_for(taken, what="the settings to be taken", timeout=3600, interval=POLL_SECONDS)
        if not self.offers.is_set_up():
            with contextlib.suppress(MailsteadError):
                wait_for(self.offers.is_set_up, what="setup", timeout=REFUSAL_SECONDS)
        if not self.offers.is_set_up():
            self.terminal.write("\n".join(screens.REFUSED) + "\n")
            return False

        def ended() -> bool:
            return any(line.startswith(("ready ", "error: ")) for line in self._lines()[begin:])

        wait_for(ended, what="the machine to be ready", timeout=7200, interval=POLL_SECONDS)
        if any(line.startswith("ready ") for line in self._lines()[begin:]):
            self.terminal.write("\n".join(screens.AFTER) + "\n")
        return True

    def _offer_kit(self) -> None:
        while self.offers.wants_kit():
            self.terminal.write("\n".join(screens.KIT) + "\n")
            key = self._key(IDLE_SECONDS)
            if self.seat.is_claimed():
                # The recovery key of the disk comes first; leaving waits until that is done.
                with self.seat.left():
                    continue
            if key == "k":
                self.terminal.clear()
                self.offers.kit()
            self.terminal.write("\n".join(screens.AFTER) + "\n")
            return

    def _diagnose(self) -> None:
        self.terminal.clear()
        self.terminal.write(f"{screens.LOOKING}\n\n")
        with contextlib.suppress(_AwayError, KeyboardInterrupt):
            self.offers.look(Pages(self.terminal, self._next_page).show)
        self.terminal.write("\nPress Enter to go on. ")
        self._key(IDLE_SECONDS)

    def _look(self) -> bool:
        """Show what is not right, before anything is asked; False when somebody goes back."""
        self.terminal.clear()
        self.terminal.write(f"{screens.LOOKING}\n\n")
        pages = Pages(self.terminal, self._next_page, screens.NOT_RIGHT)
        try:
            self.offers.look(pages.show)
        except _AwayError:
            return False
        except KeyboardInterrupt:
            return True
        if not pages.count:
            return True
        self.terminal.write("\n".join((*screens.UNFIT, screens.UNFIT_KEYS, "")))
        return self._key(IDLE_SECONDS) not in AWAY

    def _next_page(self) -> None:
        self.terminal.write(f"\n{screens.MORE_KEYS} ")
        if self._key(IDLE_SECONDS) in AWAY:
            raise _AwayError

    def _show_invitation(self) -> None:
        while not self.offers.is_set_up():
            lines = tuple(self.offers.invitation())
            self.terminal.clear()
            self.terminal.write("\n".join(lines or screens.NO_BROWSER) + "\n")
            self.terminal.write(f"{screens.BROWSER_KEYS} ")
            key = self._key(IDLE_SECONDS)
            if key != "n":
                return
            self.offers.new_code()

    def _after(self) -> None:
        self._idle = 0.0
        while True:
            lines = self.offers.status()
            self._draw("Status", lines, "Enter: menu   Esc: back to the log")
            key = self._key(REFRESH_SECONDS)
            if key in {ESCAPE, GONE, "q"} or self.seat.is_claimed():
                return
            if key == ENTER:
                self.offers.menu()
            self._idle = 0.0 if key != IDLE else self._idle + REFRESH_SECONDS
            if self._idle >= IDLE_SECONDS:
                return

    def _ask(self, title: str, lines: Sequence[str], keys: str) -> str:
        self._draw(title, lines, keys)
        return self._key(IDLE_SECONDS)

    def _draw(self, title: str, lines: Sequence[str], keys: str) -> None:
        self.terminal.clear()
        self.terminal.write(screens.draw(title, lines, keys, self.terminal.marked))

    def _tell(self, title: str, lines: Sequence[str]) -> None:
        self._ask(title, lines, "Press Enter to go on.")

    def _key(self, timeout: float) -> str:
        """The next key; IDLE also when somebody else needs the terminal or nobody is there."""
        left = timeout
        while left > 0 and not self.seat.is_claimed():
            key = self.terminal.key(min(POLL_SECONDS, left))
            if key != IDLE:
                return key
            left -= POLL_SECONDS
        return IDLE

    def _show_log(self) -> None:
        """What the machine has said, some of it while a screen was shown."""
        if self.seat.is_claimed():
            return
        self.terminal.clear()
        for line in self._lines()[-LOG_LINES:]:
            self.terminal.write(f"mailstead: {line}\n")

    def _lines(self) -> list[str]:
        try:
            return self.progress.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

"""Who is being served: one request a thread, from the login to the answer."""

from __future__ import annotations

import threading

from postmaster.dav.link import Link, ProblemError
from postmaster.dav.protocol import Problem

# What a client is told when the mail store does not do something; 500 would say that it is broken.
STATUS = {
    Problem.NO_ROOM: "507 Insufficient Storage",
    Problem.SESSION: "503 Service Unavailable",
    Problem.UNAVAILABLE: "503 Service Unavailable",
}
TOO_MANY = "429 Too Many Requests"


class Current(threading.local):
    """`link`: of who has logged in; `status`: what the answer has to be, if not Radicale's."""

    link: Link | None = None
    status: str = ""

    def require(self) -> Link:
        """Return the link. Raises PermissionError when nobody has logged in."""
        if self.link is None:
            raise PermissionError("nobody has logged in")
        return self.link

    def note(self, error: ProblemError) -> None:
        """Have the client told of a problem."""
        self.status = STATUS.get(error.problem, self.status)

    def forget(self) -> None:
        """End a request."""
        if self.link is not None:
            self.link.close()
        self.link, self.status = None, ""

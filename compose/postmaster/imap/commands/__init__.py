"""The commands, one module a group; importing this package registers them all.

To add a command: write an async function `(session, parser) -> Done` in the module it belongs to,
under `@command("NAME", states)`; read all arguments before doing anything; add its capability to
`imap/capability.py` when it works.
"""

from postmaster.imap.commands import (  # noqa: F401 - imported for what they register
    anytime,
    append,
    browsing,
    compressing,
    copying,
    folders,
    idle,
    login,
    messages,
    quota,
    searching,
    select,
    sorting,
    storing,
    xcheck,
)

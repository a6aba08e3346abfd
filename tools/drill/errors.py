"""What goes wrong with a drill itself; the machine's own words are errors of `tools.vm`."""

from __future__ import annotations

from firstboot.base.errors import MailsteadError


class DrillError(MailsteadError):
    """What was given is no repository or kit, or the restored machine does not check itself."""

    exit_code = 61

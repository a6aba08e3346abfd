"""Telling the owner of each alarm once: on the console, and by mail."""

from __future__ import annotations

from firstboot.base.alarms import NEW, Alarm, mark_told, new_alarms
from firstboot.base.notices import leave_notice, send_notices_or_wait
from firstboot.base.paths import Paths
from firstboot.system.console import Console

_OF_A_PERSON = """\
Somebody with the password of {person} wanted to send to more than {most} recipients.
Nothing more is taken from {person} until {until:%Y-%m-%d %H:%M} UTC; others go on sending.

If {person} did not send it, the password was stolen:
- set another one: mailstead user password {person}
- take away app passwords: mailstead user app-password list {person}
- delete what waits: mailstead queue list, mailstead queue delete

If {person} did, let more through: limits.{limit} in the settings.
"""
_OF_ALL = """\
All people together wanted to send to more than {most} recipients.
Nothing more is taken from anybody until {until:%Y-%m-%d %H:%M} UTC.

Whether that is right, the log tells: mailstead logs
What waits: mailstead queue list
To let more through: limits.{limit} in the settings.
"""


def tell(paths: Paths, console: Console) -> tuple[Alarm, ...]:
    """Tell of what is new; returns it. A cut in the midst tells of one again.

    Raises SettingsError when there is no owner yet.
    """
    told = []
    for path, alarm in new_alarms(paths.alarms):
        if alarm is not None:
            console.say(alarm.sentence())
            who = alarm.person or "everybody"
            text = (_OF_A_PERSON if alarm.person else _OF_ALL).format(**vars(alarm))
            leave_notice(
                paths,
                f"alarm-{path.name.removesuffix(NEW)}",
                f"Sending was stopped for {who}",
                text,
            )
            told.append(alarm)
        mark_told(path)
    if told:
        send_notices_or_wait(paths)
    return tuple(told)

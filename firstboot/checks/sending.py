"""Checks of what leaves: port 25 of others' servers, or a smart host; and who was stopped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from firstboot.base.alarms import current_alarms
from firstboot.checks.machine import Bare, Machine
from firstboot.checks.result import Result
from firstboot.checks.targets import MailTarget
from firstboot.system.smtp import LoginRefusedError, UnreachableError, read_greeting, try_relay


def uses_relay(machine: Bare) -> bool:
    """Whether the settings name a smart host."""
    return isinstance(machine, Machine) and machine.settings.relay.host is not None


def sends_itself(machine: Bare) -> bool:
    """Whether mail to others goes to their servers directly, as far as is known."""
    return not uses_relay(machine)


def check_port_25_out(machine: Bare) -> Result:
    """Mail gets out: other mail servers can be reached."""
    around = machine.around

    def greet(target: MailTarget) -> tuple[bool, str]:
        try:
            line = read_greeting(target.host, around.smtp, around.timeout)
        except UnreachableError as error:
            return False, error.message
        if target.owner in line.lower() and line.startswith("220"):
            return True, target.host
        return False, f"in the place of {target.host} answers {line[:60]!r}"

    with ThreadPoolExecutor(len(around.mail_targets)) as pool:
        found = list(pool.map(greet, around.mail_targets))
    reached = [text for fine, text in found if fine]
    problems = "; ".join(text for fine, text in found if not fine)
    why = "Mail to others goes out by port 25. Many providers close it until they are asked."
    advice = (
        "Ask the provider to open port 25 for outgoing connections, or send through a smart host: "
        "relay.host in the settings."
    )
    if not reached:
        return Result("port 25 out", "fail", problems, why, advice)
    if "in the place of" in problems:
        return Result("port 25 out", "warn", problems, why, advice)
    return Result("port 25 out", "pass", f"{len(reached)} of {len(found)} mail servers answer")


def check_relay(machine: Machine) -> Result:
    """The smart host is there, is who it says, and takes the login."""
    relay, around = machine.settings.relay, machine.around
    where = f"{relay.host}:{relay.number}"
    why = "All mail to others goes through this smart host, and waits in the queue meanwhile."
    try:
        try_relay(relay, machine.settings.hostname, around.trust(), around.timeout)
    except LoginRefusedError as error:
        advice = "Set relay.username and relay.password in the settings as its owner says."
        return Result("relay", "fail", error.message, why, advice)
    except UnreachableError as error:
        advice = "Look at relay.host, relay.port and relay.tls in the settings."
        return Result("relay", "fail", error.message, why, advice)
    login = f"takes the login of {relay.username}" if relay.username else "answers, without login"
    return Result("relay", "pass", f"{where} {login}")


def check_limits(machine: Machine) -> Result:
    """Nobody was stopped since yesterday for sending to too many recipients."""
    found = current_alarms(machine.paths.alarms)
    if not found:
        return Result("sending limits", "pass", "nobody has reached one within a day")
    why = "A stolen password is used to send spam, and others then refuse all mail from here."
    advice = (
        "If they did not send it: mailstead user password, and mailstead user app-password revoke. "
        "If they did, let more through: limits in the settings."
    )
    return Result("sending limits", "warn", "\n".join(a.sentence() for a in found), why, advice)

"""The commands `mailstead dns …`: show the records, check them, hand them on.

They import what they need when they run, like all commands.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from firstboot.base.errors import CheckError
from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.dns.check import Verdict, VerdictJson
    from firstboot.dns.plan import Plan
    from firstboot.dns.publish import Step

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_domain = click.option("--domain", metavar="NAME", help="Only what belongs into this zone.")
STYLE_NAMES = ("plain", "form", "zone", "cloudflare", "route53", "nsupdate")


@click.group()
def dns() -> None:
    """See to the DNS records of the domains.

    Others find the machine, and decide whether to take its mail, by records that the owner enters
    where the domains are registered. `show` tells which ones and why, `export` prints them for
    copying, `check` tells what is published of them, `publish` sends them to a name server.
    """


@dns.command()
@click.option("--zone", "as_zone", is_flag=True, help="Print lines of zone files (RFC 1035).")
@_domain
@_json
def show(as_zone: bool, domain: str | None, as_json: bool) -> None:
    """Show the records that are wanted, and why.

    Behind a router that translates addresses, the machine cannot know its public address: then it
    is taken from dns.addresses in the settings, or from the A record that is there already.
    """
    from firstboot.dns.formats import table, zone_file

    plan = _plan().only(domain)
    if as_json:
        click.echo(_dump(plan.as_json()))
        return
    _note(plan)
    click.echo(zone_file(plan.records) if as_zone else table(plan.records))


@dns.command()
@click.option("--style", type=click.Choice(STYLE_NAMES), default="plain", help="How to print them.")
@_domain
def export(style: str, domain: str | None) -> None:
    """Print the records for copying.

    plain: type, full name and value, one record a line. form: as the web forms of most providers
    ask for it. zone: lines of zone files. cloudflare: a file for its import. route53: change
    batches of its API. nsupdate: commands for the program of that name.
    """
    from firstboot.dns.formats import STYLES

    plan = _plan().only(domain)
    _note(plan)
    click.echo(STYLES[style](plan.records))


@dns.command()
@_domain
@click.option(
    "--resolvers/--no-resolvers",
    default=True,
    help="Whether to ask the public resolvers of the settings, too.",
)
@_json
def check(domain: str | None, resolvers: bool, as_json: bool) -> None:
    """Tell what is published of the records.

    Asks every name server that is responsible, found from the root down, and then some public
    resolvers, which may remember an older state. Each record is right, missing, wrong, stale (right
    at its source, but not yet everywhere) or unknown (could not be looked up).

    Ends with exit code 11 unless all records are right, or recommended ones are missing.
    """
    from firstboot.dns.check import check_records
    from firstboot.system.authority import Authorities

    authorities = Authorities()
    plan = _plan(authorities).only(domain)
    if not as_json:
        _note(plan)
    verdicts = []
    for verdict in check_records(plan.records, authorities, plan.resolvers if resolvers else ()):
        verdicts.append(verdict)
        if not as_json:
            click.echo(_shown(verdict))
    ok = all(verdict.fine for verdict in verdicts)
    if as_json:
        found = [verdict_json(verdict) for verdict in verdicts]
        click.echo(_dump({"ok": ok, "addresses": plan.as_json()["addresses"], "records": found}))
    else:
        click.echo(f"\n{_summary(verdicts)}")
    if not ok:
        sys.exit(CheckError.exit_code)


@dns.command()
@_domain
@click.option("--replace", is_flag=True, help="Replace records that differ from what is wanted.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def publish(domain: str | None, replace: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Send what is missing to a name server of yours (RFC 2136).

    The settings dns.publish_server, dns.publish_key and dns.publish_secret say which, and by which
    TSIG key. Records of others stay; records that differ from what is wanted stay, too, without
    --replace. Reverse DNS is not touched.

    Ends with exit code 11 when a record stays that differs, or the server does not do what it is
    asked.
    """
    if as_json and not (yes or dry_run):
        raise click.UsageError("with --json nothing is asked: add --yes or --dry-run")
    from firstboot.dns.publish import plan_publication, publisher
    from firstboot.dns.publish import publish as send

    plan = _plan().only(domain)
    server, key = publisher(plan.settings)
    found = plan_publication(plan.records, server, replace=replace)
    if not as_json:
        _note(plan)
        click.echo("\n".join(line for step in found.steps for line in _step_lines(step)))
    if found.zones and not dry_run:
        if not yes:
            click.confirm(f"Publish this at {server}?", abort=True)
        send(found, server, key, lambda line: None if as_json else click.echo(line))
    kept = [step for step in found.steps if step.kept]
    if as_json:
        click.echo(
            _dump({"ok": not kept, "done": not dry_run, "records": _steps_json(found.steps)})
        )
    if kept:
        sys.exit(CheckError.exit_code)


def _step_lines(step: Step) -> list[str]:
    name = f"{step.record.type.ljust(5)} {step.record.name}"
    if step.kept:
        return [f"DIFFERS  {name}  {step.kept}"]
    lines = [f"remove   {name}  {text}" for text in step.remove]
    if step.add:
        lines.append(f"add      {name}  {step.add}")
    return lines or [f"right    {name}"]


def _steps_json(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": step.record.name,
            "type": step.record.type,
            "add": step.add,
            "remove": list(step.remove),
            "kept": step.kept,
        }
        for step in steps
    ]


def _plan(authorities: Any = None) -> Plan:
    from firstboot.dns.plan import read_plan
    from firstboot.system.authority import Authorities

    return read_plan(Paths(), authorities or Authorities())


def _note(plan: Plan) -> None:
    """On standard error: what is printed may be fed to another program."""
    if plan.addresses.note:
        click.echo(f"note: {plan.addresses.note}", err=True)


def _shown(verdict: Verdict) -> str:
    state = verdict.state if verdict.state == "right" else verdict.state.upper()
    record = verdict.record
    lines = [f"{state.ljust(7)}  {record.type.ljust(5)} {record.name}"]
    if verdict.state == "missing" and record.need == "recommended":
        lines[0] += "  (recommended)"
    lines += [f"{'':9}{detail}" for detail in verdict.details]
    return "\n".join(lines)


def _summary(verdicts: list[Verdict]) -> str:
    states = [verdict.state for verdict in verdicts]
    if all(state == "right" for state in states):
        return f"All {len(states)} records are right."
    names = ("right", "missing", "wrong", "stale", "unknown")
    counts = [f"{states.count(name)} {name}" for name in names if name in states]
    text = f"{', '.join(counts)}."
    if "unknown" in states:
        text += " Unknown ones could not be looked up: that says nothing about them. Try again."
    return text


def verdict_json(verdict: Verdict) -> VerdictJson:
    """A record and what is published of it, as `--json` prints it."""
    from firstboot.dns.plan import record_json

    details = list(verdict.details)
    return {**record_json(verdict.record), "state": verdict.state, "details": details}


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)

"""The verb `publish`."""

from __future__ import annotations

import datetime
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from firstboot.base.errors import MailsteadError
from firstboot.base.manifest import Channel, Manifest, version_key
from firstboot.base.state import STATE_FORMAT
from tools.build.image import RELEASE, TESTING, Built, build_image
from tools.build.slot import read_slot
from tools.build.source import read_source
from tools.host.cache import readable
from tools.host.packages import ensure_for
from tools.host.report import Say
from tools.keys.commands import keys_option, passphrase_option
from tools.keys.keyset import SigningKeys, opened_test_keys
from tools.keys.opening import opened_release_keys
from tools.options import base_option, json_option, mirror_option
from tools.progress import progress
from tools.publish.bundle import bundle_name, write_bundle
from tools.publish.errors import PublishError
from tools.publish.folder import CHANNELS, read_published
from tools.publish.parts import fetched
from tools.publish.release import promote as promote_release
from tools.publish.release import publish_slot, require_newer

_TEST_KEYS = (
    "WARNING: SIGNED WITH TEST KEYS, AND WITH A WAY IN FOR TESTS. No machine that runs a release "
    "will take this. Never give it to people."
)
# What says how a new release is made has no meaning for one that is there already.
_ONLY_NEW = ("base", "mirror", "notes", "not_before", "minimum_version")


class Version(click.ParamType[str]):
    """MAJOR.MINOR.PATCH."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            version_key(str(value))
        except MailsteadError as error:
            self.fail(error.message, param, ctx)
        return str(value)


class Time(click.ParamType[str]):
    """A time with its zone (RFC 3339), such as 2030-01-31T04:00:00Z."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            time = datetime.datetime.fromisoformat(str(value))
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            self.fail(f"{value!r} is not a time such as 2030-01-31T04:00:00Z", param, ctx)
        return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@click.command()
@click.option(
    "--to",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The published directory.",
)
@base_option("ubuntu")
@mirror_option
@click.option(
    "--channel",
    type=click.Choice(CHANNELS),
    default="candidate",
    show_default=True,
    help="For whom: candidate is for whoever wants to try, stable for all.",
)
@click.option("--notes", metavar="FILE", type=click.Path(path_type=Path), help="What is new.")
@click.option("--not-before", type=Time(), help="No machine upgrades by itself before.")
@click.option(
    "--minimum-version",
    type=Version(),
    help="Older machines upgrade to this first.  [default: the oldest one that is published]",
)
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=2),
    default=4,
    show_default=True,
    help="How many versions stay.",
)
@keys_option
@passphrase_option
@click.option("--testing", is_flag=True, help="A testing image, signed with the test keys.")
@click.option(
    "--promote", metavar="VERSION", type=Version(), help="Make this candidate the stable release."
)
@click.option(
    "--bundle",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write it into one file, too, for a USB stick. A directory is fine.",
)
@json_option
@click.pass_context
def publish(
    context: click.Context,
    *,
    to: Path,
    base: str,
    mirror: str | None,
    channel: Channel,
    notes: Path | None,
    not_before: str | None,
    minimum_version: str | None,
    keep: int,
    keys: Path | None,
    passphrase_file: Path | None,
    testing: bool,
    promote: str | None,
    bundle: Path | None,
    as_json: bool,
) -> None:
    """Build a release and publish it into a directory.

    Serve that directory with any web server, or copy it into an object store, and name its address
    as updates.url on the machines. They fetch only what differs from what they run.

    With --promote nothing is built: a release that has proved itself as a candidate is signed anew
    for everybody, its files stay the same.
    """
    _check_usage(context, promote=promote, channel=channel, testing=testing, keys=keys)
    _check_bundle(bundle)
    text = _read_notes(notes)
    # A passphrase is asked for before the progress line begins.
    opening = _opened(testing=testing, folder=keys, passphrase_file=passphrase_file)
    with progress() as report:
        ensure_for("publish", report)
        if testing:
            report(_TEST_KEYS)
        with opening as opened:
            if promote is not None:
                manifest = promote_release(to, promote, keys=opened, keep=keep, report=report)
            else:
                # The build takes minutes, and what can be refused before is.
                require_newer(read_published(to), read_source().version, channel)
                built = _build(base, mirror, opened, testing=testing, report=report)
                manifest = publish_slot(
                    read_slot(built.folder),
                    to,
                    keys=opened,
                    base=built.release.base,
                    built=built.release.built,
                    channel=channel,
                    notes=text,
                    not_before=not_before,
                    minimum_version=minimum_version,
                    state_format=STATE_FORMAT,
                    keep=keep,
                    report=report,
                )
        file = _bundle(to, manifest, bundle, report)
    found = describe(manifest) | {"to": str(to), "testing": testing, "bundle": file and str(file)}
    click.echo(json.dumps(found, indent=2) if as_json else format_published(manifest))


def describe(manifest: Manifest) -> dict[str, Any]:
    """What was published, for --json; sizes in bytes."""
    bases = sorted({delta.base for part in manifest.parts for delta in part.deltas if delta.base})
    return {
        "version": manifest.version,
        "base": manifest.base,
        "channel": manifest.channel,
        "not_before": manifest.not_before,
        "minimum_version": manifest.minimum_version,
        "bytes": {
            "full": _bytes(manifest, ""),
            "from": {old: _bytes(manifest, old) for old in bases},
        },
        "parts": {
            part.role: {
                "bytes": part.bytes,
                "full": part.full.bytes,
                "from": {delta.base: delta.bytes for delta in part.deltas},
            }
            for part in manifest.parts
        },
    }


def format_published(manifest: Manifest) -> str:
    """What machines will have to fetch, for people."""
    sizes = describe(manifest)["bytes"]
    lines = [f"{readable(sizes['full']):>10}  the whole of {manifest.version}"]
    for old, size in sizes["from"].items():
        lines.append(f"{readable(size):>10}  from {old} ({size / sizes['full']:.1%})")
    return "\n".join(lines)


def _bytes(manifest: Manifest, version: str) -> int:
    """What a machine that runs `version` fetches altogether."""
    return sum(fetched(part, version).bytes for part in manifest.parts)


def _check_usage(
    context: click.Context,
    *,
    promote: str | None,
    channel: Channel,
    testing: bool,
    keys: Path | None,
) -> None:
    if testing and keys is not None:
        raise click.UsageError("--testing and --keys exclude each other")
    if promote is None:
        return
    if channel != "stable":
        raise click.UsageError("--promote makes a candidate stable: add --channel stable")
    for name in _ONLY_NEW:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} is for a new release, --promote changes none")


def _opened(
    *, testing: bool, folder: Path | None, passphrase_file: Path | None
) -> AbstractContextManager[SigningKeys]:
    return opened_test_keys() if testing else opened_release_keys(folder, passphrase_file)


def _build(
    base: str, mirror: str | None, keys: SigningKeys, *, testing: bool, report: Say
) -> Built:
    variant = TESTING if testing else RELEASE
    # They are open already, and stay so until the release is signed.
    opened = nullcontext(keys)
    return build_image(base, report=report, variant=variant, keys=opened, mirror=mirror)


def _check_bundle(target: Path | None) -> None:
    if target is not None and not target.parent.is_dir():
        raise PublishError(f"the directory {target.parent} for the bundle does not exist")


def _read_notes(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PublishError(f"the notes in {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PublishError(f"the notes in {path} are not text in UTF-8") from None


def _bundle(to: Path, manifest: Manifest, target: Path | None, report: Say) -> Path | None:
    if target is None:
        return None
    file = write_bundle(to, manifest, target)
    report(f"Wrote {file}.")
    usual = bundle_name(manifest.version)
    if file.name != usual:
        report(f"On a stick machines find it as {usual} only.")
    return file

"""Whole upgrades: from a server, by delta, from a file; and everything that can go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firstboot.base.errors import CommandError, MachineError, UpdateRefusedError
from firstboot.system.http import TransferError
from firstboot.update.apply import apply, choose, prepare
from firstboot.update.decide import Request
from firstboot.update.history import Attempt, write_history
from firstboot.update.machine import LABELS, read_slots
from firstboot.update.source import Server, Source, opened
from tests.unit.firstboot.update.conftest import Appliance, serve
from tests.unit.firstboot.update.published import Publisher, contents
from tests.unit.firstboot.webserver import WebServer


def upgrade(appliance: Appliance, source: Source, request: Request | None = None) -> str:
    """What `mailstead update apply` does; returns the installed version."""
    request = request or Request()
    choice = choose(appliance.machine, source, request)
    prepared = prepare(appliance.machine, source, request, choice)
    apply(appliance.machine, source, prepared, appliance.report)
    return prepared.manifest.version


def server(web: WebServer, publisher: Publisher) -> Server:
    return Server(serve(web, publisher), "stable")


def refusal(appliance: Appliance, source: Source, request: Request | None = None) -> str:
    """Why an upgrade is refused, with the slot and the boot loader untouched."""
    with pytest.raises(UpdateRefusedError) as caught:
        upgrade(appliance, source, request)
    assert appliance.entries == ["mailstead_1.0.0.efi"]
    assert (appliance.disk / "b-root").read_bytes() == b""
    return str(caught.value)


def tries(appliance: Appliance) -> list[str]:
    return [name for name in appliance.entries if "+" in name]


def test_upgrade_over_the_network(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    assert upgrade(appliance, server(web, publisher)) == "2.0.0"
    assert appliance.written("2.0.0")
    assert appliance.entries == ["mailstead_1.0.0.efi", "mailstead_2.0.0+3-0.efi"]
    attempt = Attempt("2.0.0", "1.0.0", "2026-12-01T03:00:00+00:00", "network", "pending")
    assert appliance.history == (attempt,)
    assert list(appliance.paths.ready.iterdir()) == []
    assert list(appliance.paths.downloads.iterdir()) == []
    assert any("MiB of" in line or "unpacking" in line for line in appliance.lines)


def test_upgrade_by_delta(appliance: Appliance, web: WebServer, publisher: Publisher) -> None:
    publisher.publish("2.0.0", delta_from=contents("1.0.0"))
    upgrade(appliance, server(web, publisher))
    assert appliance.written("2.0.0")
    assert appliance.history[-1].how == "delta"
    fetched = {name for name, _ in web.requests}
    assert "2.0.0/root.delta.zst" in fetched
    assert "2.0.0/root.zst" not in fetched


@pytest.mark.parametrize("spoil", ["base", "missing", "damaged", "bomb"])
def test_delta_that_is_of_no_use(
    appliance: Appliance,
    web: WebServer,
    publisher: Publisher,
    spoil: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher.publish("2.0.0", delta_from=contents("1.0.0"))
    source = server(web, publisher)
    if spoil == "base":
        (appliance.disk / "a-root").write_bytes(b"x" * 400_000)
    elif spoil == "missing":
        del web.files["2.0.0/root.delta.zst"]
    elif spoil == "damaged":
        delta = web.files["2.0.0/root.delta.zst"]
        web.files["2.0.0/root.delta.zst"] = delta[:-1] + bytes([delta[-1] ^ 1])
    else:
        monkeypatch.setattr("firstboot.update.fetch.Step.most_unpacked", 10)
    upgrade(appliance, source)
    assert appliance.written("2.0.0")
    assert any(line.startswith("root: the delta is of no use (") for line in appliance.lines)
    assert "2.0.0/root.zst" in {name for name, _ in web.requests}


def test_upgrade_from_a_bundle_and_a_folder(
    appliance: Appliance, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.publish("1.5.0", delta_from=contents("1.0.0"))
    publisher.publish("2.0.0", delta_from=contents("1.0.0"))
    bundle = publisher.bundle("2.0.0", tmp_path / "mailstead_2.0.0.tar")
    with opened(bundle) as source:
        assert upgrade(appliance, source) == "2.0.0"
    assert appliance.written("2.0.0")
    assert appliance.history[-1].how == "file"
    with opened(publisher.folder) as source:
        assert upgrade(appliance, source, Request("1.5.0")) == "1.5.0"
    assert appliance.written("1.5.0")
    # What it overtook cannot start any more, for its slot was overwritten.
    assert appliance.entries == ["mailstead_1.0.0.efi", "mailstead_1.5.0+3-0.efi"]
    assert [a.outcome for a in appliance.history] == ["interrupted", "pending"]


def test_upgrade_goes_on_where_it_stopped(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    source = server(web, publisher)
    size = len(web.files["2.0.0/verity.zst"])
    # The envelope, then two answers of which the second brings nothing.
    web.stops = [1 << 20, 1000, 0]
    with pytest.raises(TransferError):
        upgrade(appliance, source)
    assert appliance.history == ()
    web.requests.clear()
    upgrade(appliance, source)
    assert appliance.written("2.0.0")
    assert ("2.0.0/verity.zst", "bytes=1000-") in web.requests
    assert f"verity: going on after 1000 of {size} bytes" in appliance.lines


def test_parts_that_are_ready_are_not_fetched_again(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    source = server(web, publisher)
    appliance.programs.add("systemd-sysupdate", "echo I/O error >&2; exit 1")
    with pytest.raises(CommandError, match="I/O error"):
        upgrade(appliance, source)
    last = appliance.history[-1]
    assert (last.outcome, last.version) == ("interrupted", "2.0.0")
    assert "systemd-sysupdate" in last.reason
    assert appliance.entries == ["mailstead_1.0.0.efi"]
    web.requests.clear()
    with pytest.raises(CommandError):
        upgrade(appliance, source)
    assert [name for name, _ in web.requests] == ["stable.json"]


def test_what_was_there_is_not_trusted(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    source = server(web, publisher)
    manifest = choose(appliance.machine, source, Request()).manifest
    root, uki = manifest.part("root"), manifest.part("uki")
    for folder in (appliance.paths.downloads, appliance.paths.ready):
        folder.mkdir(parents=True)
    (appliance.paths.downloads / root.full.sha256).write_bytes(b"x" * root.full.bytes)
    (appliance.paths.downloads / ("0" * 64)).write_bytes(b"of another version")
    (appliance.paths.ready / "mailstead_2.0.0.efi").write_bytes(b"x" * uki.bytes)
    (appliance.paths.ready / "mailstead_1.9.0.efi").write_bytes(b"of another version")
    upgrade(appliance, source)
    assert appliance.written("2.0.0")
    assert "root: what was there is damaged; fetching it anew" in appliance.lines


@pytest.mark.parametrize("place", [0, -1])
def test_transfer_with_a_flipped_byte(
    appliance: Appliance, web: WebServer, publisher: Publisher, place: int
) -> None:
    publisher.publish("2.0.0")
    source = server(web, publisher)
    data = bytearray(web.files["2.0.0/root.zst"])
    data[place] ^= 1
    web.files["2.0.0/root.zst"] = bytes(data)
    assert "2.0.0/root.zst" in refusal(appliance, source)
    assert appliance.history == ()


def test_transfer_of_another_size(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    source = server(web, publisher)
    web.files["2.0.0/root.zst"] += b"x"
    assert "announced are" in refusal(appliance, source)


@pytest.mark.parametrize("which", ["manifest", "ed25519", "ml_dsa_65", "key", "junk", "long"])
def test_envelope_that_is_not_signed_as_it_must_be(
    appliance: Appliance, web: WebServer, publisher: Publisher, which: str
) -> None:
    publisher.publish("2.0.0")
    if which == "key":
        publisher.key = "somebody's"
        publisher.publish("3.0.0")
    source = server(web, publisher)
    envelope = json.loads(web.files["stable.json"])
    if which == "manifest":
        envelope["manifest"] = envelope["manifest"].replace("2.0.0", "2.0.1")
    elif which in {"ed25519", "ml_dsa_65"}:
        text = envelope["signatures"][0][which]
        envelope["signatures"][0][which] = ("B" if text[0] == "A" else "A") + text[1:]
    data = json.dumps(envelope).encode()
    web.files["stable.json"] = {"junk": b"junk", "long": data + b" " * (1 << 20)}.get(which, data)
    refusal(appliance, source)
    assert appliance.history == ()


def test_another_version_in_the_place_of_the_wanted_one(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    publisher.publish("3.0.0")
    source = server(web, publisher)
    web.files["3.0.0/release.json"] = web.files["2.0.0/release.json"]
    assert "has 2.0.0 in the place of 3.0.0" in refusal(appliance, source, Request("3.0.0"))


def test_candidate_in_the_place_of_a_stable_release(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0", channel="candidate")
    source = server(web, publisher)
    assert "2.0.0 is a candidate, and the channel is stable" in refusal(appliance, source)
    assert [name for name, _ in web.requests] == ["stable.json"]
    assert choose(appliance.machine, source, Request("2.0.0")).goal == "2.0.0"
    with opened(publisher.folder) as folder:
        assert choose(appliance.machine, folder, Request()).goal == "2.0.0"
    appliance.change(channel="candidate")
    assert choose(appliance.machine, source, Request()).goal == "2.0.0"


def test_release_that_the_firmware_would_not_start(
    appliance: Appliance, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    with opened(publisher.folder) as source:
        for trusted in ((), (b"uki 1.0.0",)):
            appliance.enforce_secure_boot(*trusted)
            assert "is not signed by a Secure Boot key" in refusal(appliance, source)
            assert appliance.history == ()
        appliance.enforce_secure_boot(b"uki 1.0.0", b"uki 2.0.0")
        assert upgrade(appliance, source) == "2.0.0"


def test_way_over_a_version_in_between(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    publisher.publish("3.0.0", minimum_version="2.0.0")
    publisher.publish("4.0.0", minimum_version="3.0.0")
    source = server(web, publisher)
    choice = choose(appliance.machine, source, Request())
    assert (choice.manifest.version, choice.goal) == ("2.0.0", "4.0.0")
    assert upgrade(appliance, source) == "2.0.0"


def test_way_that_is_a_circle(appliance: Appliance, web: WebServer, publisher: Publisher) -> None:
    publisher.publish("2.0.0", minimum_version="2.0.0")
    assert "no way from 1.0.0 to 2.0.0" in refusal(appliance, server(web, publisher))


def test_no_room(
    appliance: Appliance, web: WebServer, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish("2.0.0")
    source = server(web, publisher)
    appliance.slots(size=100_000)
    assert "the slot (verity) has room for 0 MiB" in refusal(appliance, source)
    appliance.slots()
    monkeypatch.setattr("firstboot.update.decide.ESP_RESERVE", 1 << 60)
    assert "the EFI system partition has room" in refusal(appliance, source)
    monkeypatch.setattr("firstboot.update.decide.RESERVE", 1 << 60)
    assert "the state partition has room" in refusal(appliance, source)
    assert web.requests.count(("2.0.0/root.zst", "")) == 0


def test_slot_that_does_not_hold_what_was_written(
    appliance: Appliance, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    programs = appliance.programs
    whole = (programs.directory / "systemd-sysupdate").read_text()
    damaged = f"{whole}\nprintf x | dd of={appliance.disk}/b-root conv=notrunc 2>/dev/null\n"
    (programs.directory / "systemd-sysupdate").write_text(damaged)
    with (
        opened(publisher.folder) as source,
        pytest.raises(MachineError, match=r"the root of 2\.0\.0"),
    ):
        upgrade(appliance, source)
    assert appliance.entries == ["mailstead_1.0.0.efi"]
    assert appliance.history[-1].outcome == "interrupted"


def test_slot_that_cannot_be_read(appliance: Appliance, publisher: Publisher) -> None:
    publisher.publish("2.0.0")
    program = appliance.programs.directory / "systemd-sysupdate"
    program.write_text(f"{program.read_text()}\nrm {appliance.disk}/b-sig\n")
    with opened(publisher.folder) as source, pytest.raises(MachineError, match="b-sig: No such"):
        upgrade(appliance, source)
    assert appliance.entries == ["mailstead_1.0.0.efi"]
    assert appliance.history[-1].outcome == "interrupted"


def test_downgrade(appliance: Appliance, publisher: Publisher) -> None:
    publisher.publish("0.9.0", minimum_version="0.9.0")
    with opened(publisher.folder) as source:
        assert "older than 1.0.0" in refusal(appliance, source, Request("0.9.0"))
        upgrade(appliance, source, Request("0.9.0", allow_downgrade=True))
    assert appliance.entries == ["mailstead_0.9.0+3-0.efi", "mailstead_1.0.0+0-0.efi"]


def test_version_that_failed_gets_new_tries_when_it_is_named(
    appliance: Appliance, publisher: Publisher
) -> None:
    publisher.publish("2.0.0")
    appliance.entry("mailstead_2.0.0+0-3.efi")
    failed = Attempt("2.0.0", "1.0.0", "2026-11-30T03:00:00Z", "file", "failed", "no mail")
    write_history(appliance.paths.update_history, [failed])
    with opened(publisher.folder) as source:
        with pytest.raises(UpdateRefusedError, match="did not work on this machine before: no mai"):
            upgrade(appliance, source)
        upgrade(appliance, source, Request("2.0.0"))
    assert tries(appliance) == ["mailstead_2.0.0+3-0.efi"]


def test_last_look_before_writing(appliance: Appliance, publisher: Publisher) -> None:
    publisher.publish("2.0.0")

    def not_now() -> None:
        raise UpdateRefusedError("too late")

    with opened(publisher.folder) as source:
        choice = choose(appliance.machine, source, Request())
        prepared = prepare(appliance.machine, source, Request(), choice)
        with pytest.raises(UpdateRefusedError, match="too late"):
            apply(appliance.machine, source, prepared, appliance.report, not_now)
    assert appliance.history == ()
    assert len(list(appliance.paths.ready.iterdir())) == 4


def test_disk_that_cannot_be_written(appliance: Appliance, publisher: Publisher) -> None:
    publisher.publish("2.0.0")
    appliance.paths.updates.write_text("a file where a folder should be")
    with opened(publisher.folder) as source, pytest.raises(MachineError, match="updates"):
        upgrade(appliance, source)


@pytest.mark.parametrize("change", ["label", "kind"])
def test_disk_with_another_layout(appliance: Appliance, change: str) -> None:
    assert set(read_slots("1.0.0").other) == set(LABELS)
    listing = appliance.programs.directory / "partitions.json"
    if change == "label":
        listing.write_text(listing.read_text().replace("mailstead_1.0.0_sig", "something"))
        with pytest.raises(MachineError, match=r"has no partition mailstead_1\.0\.0_sig"):
            read_slots("1.0.0")
    else:
        listing.write_text(listing.read_text().replace("type-sig", "type-root"))
        with pytest.raises(MachineError, match="has 3 other partitions"):
            read_slots("1.0.0")

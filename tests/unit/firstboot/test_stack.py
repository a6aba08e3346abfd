"""write_stack: what is rendered, who may read it, and that doing it again changes nothing."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstboot.base.certificate import make_certificate
from firstboot.base.compose import StackOptions, private_network, resolved_network
from firstboot.base.errors import ReleaseError, StackError
from firstboot.base.paths import Paths
from firstboot.base.release import Release
from firstboot.base.services import parse_stack
from firstboot.base.settings import parse_settings
from firstboot.base.stack import write_certificate, write_stack
from firstboot.base.tls import join_pem
from tests.unit.firstboot.samples import RELEASE, SERVICES, SETTINGS

ROOT = os.geteuid() == 0


def render(
    paths: Paths,
    *,
    settings: str = SETTINGS,
    services: str = SERVICES,
    release: Release = RELEASE,
    options: StackOptions | None = None,
) -> dict[str, Any]:
    compose = write_stack(
        parse_settings(settings, "settings"),
        parse_stack(services, "services"),
        release,
        templates=paths.templates,
        config=paths.stack,
        state=paths.state,
        options=options or StackOptions(),
    )
    assert compose == paths.compose_file
    document = yaml.safe_load(compose.read_text())
    assert isinstance(document, dict)
    return document


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its mode, inode and content."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(root)): (path.stat().st_mode, path.stat().st_ino, path.read_bytes())
        for path in files
    }


def test_templates_are_rendered(paths: Paths) -> None:
    render(paths)
    files = paths.stack / "files"
    assert (files / "redis/redis/redis.conf").read_text() == "maxmemory 33554432\n"
    assert (files / "mta/mta/main.cf").read_text() == (
        "myhostname = mail.example.com\ndomain = example.com\n"
    )
    assert "{{ not a template }} $x" in (files / "mta/mta/master.cf").read_text()


def test_secrets_are_copied_for_each_service(paths: Paths) -> None:
    render(paths)
    secrets = paths.stack / "secrets"
    password = (paths.state / "secrets" / "canary_password").read_text()
    assert len(bytes.fromhex(password)) == 32
    assert (secrets / "redis" / "canary_password").read_text() == password
    assert (secrets / "mta" / "canary_password").read_text() == password
    assert sorted(path.name for path in (secrets / "redis").iterdir()) == ["canary_password"]
    pair = [(paths.tls / name).read_bytes() for name in ("key.pem", "certificate.pem")]
    assert (secrets / "mta/tls/certificate.pem").read_bytes() == b"".join(pair)
    assert not (secrets / "redis/tls").exists()
    assert paths.certificate.read_bytes() == pair[1]
    settings = yaml.safe_load((secrets / "mta/settings/settings.yaml").read_text())
    assert settings["people"][0]["address"] == "ada@example.com"
    assert settings["network"]["method"] == "dhcp"


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_each_secret_belongs_to_its_service(paths: Paths) -> None:
    render(paths)
    secret = (paths.stack / "secrets/redis/canary_password").stat()
    assert (secret.st_uid, secret.st_gid, secret.st_mode & 0o777) == (10001, 10001, 0o400)
    kept = (paths.state / "secrets/canary_password").stat()
    assert (kept.st_uid, kept.st_mode & 0o777) == (0, 0o600)
    volume = (paths.state / "redis/data").stat()
    assert (volume.st_uid, volume.st_mode & 0o777) == (10001, 0o700)


def test_without_root_only_the_developer_can_reach_open_files(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    render(paths)
    assert (paths.stack / "secrets/redis/canary_password").stat().st_mode & 0o777 == 0o444
    assert (paths.state / "redis/data").stat().st_mode & 0o777 == 0o777
    assert paths.stack.stat().st_mode & 0o777 == 0o700
    assert paths.state.stat().st_mode & 0o777 == 0o700


def test_twice_is_once(paths: Paths) -> None:
    render(paths)
    before = snapshot(paths.settings.parents[1])
    render(paths)
    assert snapshot(paths.settings.parents[1]) == before


def test_is_the_same_on_a_fresh_runtime_directory(paths: Paths) -> None:
    """As after a reboot: everything in the runtime directory is derived from what lasts."""
    first = render(paths)
    before = {name: data for name, (_, _, data) in snapshot(paths.stack).items()}
    for path in sorted(paths.stack.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert render(paths) == first
    assert {name: data for name, (_, _, data) in snapshot(paths.stack).items()} == before


def test_leftovers_are_removed(paths: Paths) -> None:
    render(paths)
    stale = paths.stack / "secrets" / "gone" / "secret"
    stale.parent.mkdir()
    stale.write_text("old")
    render(paths)
    assert not stale.parent.exists()


def test_another_host_name_remakes_the_certificate_but_no_secret(paths: Paths) -> None:
    render(paths)
    password = (paths.state / "secrets/canary_password").read_text()
    certificate = paths.certificate.read_bytes()
    render(paths, settings=SETTINGS.replace("mail.example.com", "mx.example.com"))
    assert (paths.state / "secrets/canary_password").read_text() == password
    assert paths.certificate.read_bytes() != certificate


def test_private_networks() -> None:
    """Each stack has one of its own, the same each time, of those that are not routed."""
    found = [ipaddress.ip_network(private_network(name)) for name in ("one_edge", "two_edge")]
    assert found[0] != found[1]
    assert found[0] == ipaddress.ip_network(private_network("one_edge"))
    for network in found:
        assert network.prefixlen == 64
        assert network.subnet_of(ipaddress.ip_network("fd00::/8"))  # type: ignore[arg-type]


def test_networks_with_a_name_server() -> None:
    """Each stack has one of its own, the same each time, of those that are not routed."""
    names = [f"mailstead{kind}_names" for kind in ("", "-stack", "-tests", "-bench")]
    found = [resolved_network(name) for name in names]
    assert len({each.subnet for each in found}) == len(names)
    assert found == [resolved_network(name) for name in names]
    for each in found:
        assert each.subnet.subnet_of(ipaddress.IPv4Network("169.254.64.0/18"))
        assert each.others.subnet_of(each.subnet)
        assert each.others.num_addresses >= 16
        assert ipaddress.ip_address(each.server) in each.subnet
        assert ipaddress.ip_address(each.server) not in each.others


def test_who_is_asked_for_names(paths: Paths) -> None:
    """A service with a fixed address, by all others in its network and nobody else."""
    services = SERVICES.replace(
        "    networks: [cache]\n", "    networks: [edge, cache]\n    resolves: cache\n"
    ).replace("    networks: [edge]\n", "    networks: [edge, cache]\n")
    document = render(paths, services=services)
    names = resolved_network("mailstead_cache")
    addresses = {
        "subnet": str(names.subnet),
        "gateway": str(names.subnet[1]),
        "ip_range": str(names.others),
    }
    assert document["networks"]["cache"] == {"internal": True, "ipam": {"config": [addresses]}}
    redis, mta = document["services"]["redis"], document["services"]["mta"]
    assert redis["networks"] == {"edge": {}, "cache": {"ipv4_address": names.server}}
    assert "dns" not in redis
    assert (mta["networks"], mta["dns"]) == (["edge", "cache"], [names.server])
    assert "dns" not in render(paths)["services"]["mta"]


def test_every_service_is_hardened(paths: Paths) -> None:
    document = render(paths)
    assert document["name"] == "mailstead"
    subnet = private_network("mailstead_edge")
    assert document["networks"] == {
        "edge": {"internal": False, "enable_ipv6": True, "ipam": {"config": [{"subnet": subnet}]}},
        "cache": {"internal": True},
    }
    assert list(document["services"]) == ["redis", "mta"]
    for service in document["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["pull_policy"] == "never"
        assert service["restart"] == "unless-stopped"
        assert service["pids_limit"] == 128
        assert service["logging"]["driver"] == "journald"
        assert "privileged" not in service
        assert "network_mode" not in service


def test_a_service_in_the_compose_file(paths: Paths) -> None:
    mta = render(paths)["services"]["mta"]
    assert mta["image"] == RELEASE.images["mta"].reference
    assert mta["user"] == "0:0"
    assert mta["cap_add"] == ["SETUID"]
    assert mta["mem_limit"] == 1024**3
    assert mta["stop_grace_period"] == "45s"
    assert mta["ports"] == [
        {"target": 587, "published": "587"},
        {"target": 993, "published": "993"},
    ]
    mounts = {mount["target"]: mount for mount in mta["volumes"]}
    assert sorted(mounts) == [
        "/etc/postfix/main.cf",
        "/etc/postfix/master.cf",
        "/run/secrets/canary_password",
        "/run/secrets/settings",
        "/run/secrets/tls",
    ]
    for mount in mounts.values():
        assert mount["read_only"] is True
        assert Path(mount["source"]).is_dir() == (
            mount["target"] in {"/run/secrets/tls", "/run/secrets/settings"}
        )
    redis = render(paths)["services"]["redis"]
    (data,) = [mount for mount in redis["volumes"] if mount["target"] == "/var/lib/redis"]
    assert data["read_only"] is False
    assert data["source"] == str(paths.state / "redis" / "data")


def test_options_of_a_stack_on_a_host(paths: Paths) -> None:
    options = StackOptions(
        project="try",
        log_driver="json-file",
        address="127.0.0.1",
        ports={"imaps": 40993},
    )
    document = render(paths, options=options)
    assert document["name"] == "try"
    mta = document["services"]["mta"]
    assert mta["logging"]["driver"] == "json-file"
    assert mta["ports"] == [
        {"target": 587, "published": "587", "host_ip": "127.0.0.1"},
        {"target": 993, "published": "40993", "host_ip": "127.0.0.1"},
    ]


def test_changed_content_changes_the_compose_file(paths: Paths) -> None:
    """Otherwise Compose would leave containers running with what they had mounted before."""
    before = render(paths)["services"]
    after = render(paths, settings=SETTINGS + "checks: {outside: false}\n")["services"]
    assert before["mta"]["labels"] != after["mta"]["labels"]
    assert before["redis"] == after["redis"]


@pytest.mark.parametrize(
    ("change", "seen"),
    [("limits: {person_hour: 7}\n", "person_hour: 7"), ("quota: 3G\n", "quota: 3G")],
    ids=["limits", "quota"],
)
def test_what_services_take_while_they_run_needs_no_new_container(
    paths: Paths, change: str, seen: str
) -> None:
    before = render(paths)["services"]
    assert render(paths, settings=SETTINGS + change)["services"] == before
    file = paths.stack / "secrets/mta/settings/settings.yaml"
    assert seen in file.read_text(encoding="utf-8")


def test_a_new_certificate_needs_no_new_container(paths: Paths) -> None:
    before = render(paths)
    seen = paths.certificate.read_bytes()
    (paths.tls / "certificate.pem").unlink()
    assert render(paths) == before
    assert paths.certificate.read_bytes() != seen


def test_a_certificate_is_given_to_a_stack_that_runs(paths: Paths) -> None:
    render(paths)
    mounted = paths.stack / "secrets/mta/tls"
    directory, file = mounted.stat().st_ino, (mounted / "certificate.pem").stat()
    made = make_certificate("mail.example.com", now=datetime.datetime.now(datetime.UTC))
    write_certificate(made, parse_stack(SERVICES, "services"), paths.stack)
    assert (mounted / "certificate.pem").read_bytes() == join_pem(made)
    assert paths.certificate.read_bytes() == made.certificate
    # What is mounted is the directory, so that has to stay; the file is a new one, whole at once.
    assert mounted.stat().st_ino == directory
    assert (mounted / "certificate.pem").stat().st_ino != file.st_ino
    assert (mounted / "certificate.pem").stat().st_mode == file.st_mode
    assert not (paths.stack / "secrets/redis/tls").exists()


def test_no_service_gets_the_keys_of_the_dns(paths: Paths) -> None:
    tls = """\
tls:
  method: acme
  challenge: dns-01
  dns_provider: rfc2136
  dns_environment: {RFC2136_TSIG_SECRET: sesame}
"""
    render(paths, settings=SETTINGS + tls)
    for path in paths.stack.rglob("*"):
        assert path.is_dir() or b"sesame" not in path.read_bytes()
    settings = yaml.safe_load((paths.stack / "secrets/mta/settings/settings.yaml").read_text())
    assert settings["tls"]["method"] == "acme"


def test_compose_does_not_see_variables(paths: Paths) -> None:
    services = SERVICES.replace("[redis-server, /etc/redis.conf]", "[redis-server, $HOME]")
    assert render(paths, services=services)["services"]["redis"]["command"][1] == "$$HOME"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ settings.hostnam }}", "redis/redis.conf.j2 cannot be rendered: .*hostnam"),
        ("\n{{ settings.", "redis/redis.conf.j2:2 is malformed"),
        ("{{ 1 + 'a' }}", "redis/redis.conf.j2 cannot be rendered"),
        (None, "redis/redis.conf.j2 of redis is missing"),
    ],
)
def test_bad_template(paths: Paths, template: str | None, message: str) -> None:
    path = paths.templates / "redis/redis.conf.j2"
    path.unlink()
    if template is not None:
        path.write_text(template)
    with pytest.raises(StackError, match=message):
        render(paths)
    assert not paths.compose_file.exists()


def test_damaged_secret_is_not_replaced(paths: Paths) -> None:
    render(paths)
    secret = paths.state / "secrets" / "canary_password"
    secret.write_text("short")
    with pytest.raises(StackError, match="canary_password is damaged") as caught:
        render(paths)
    assert caught.value.hint
    assert secret.read_text() == "short"


def test_service_without_image(paths: Paths) -> None:
    with pytest.raises(ReleaseError, match="no image 'other'"):
        render(paths, services=SERVICES.replace("image: mta", "image: other"))

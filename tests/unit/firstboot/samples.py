"""Small inputs that many tests share: settings, services with their templates, a release."""

from __future__ import annotations

import base64
from pathlib import Path

from firstboot.base.certificate import ensure_certificate
from firstboot.base.paths import Paths
from firstboot.base.release import Image, Release, reference, write_release

SALT = base64.b64encode(bytes(16)).decode().rstrip("=")
DIGEST = base64.b64encode(bytes(range(32))).decode().rstrip("=")
HASH = f"$argon2id$v=19$m=65536,t=3,p=1${SALT}${DIGEST}"

SETTINGS = f"""\
version: 1
hostname: mail.example.com
domains:
  - name: example.com
people:
  - address: ada@example.com
    name: Ada Lovelace
    password_hash: {HASH}
    aliases: [countess@example.com]
"""

SERVICES = """\
version: 1
networks:
  edge: {internal: false}
  cache: {internal: true}
services:
  redis:
    image: redis
    user: 10001
    command: [redis-server, /etc/redis.conf]
    networks: [cache]
    memory: 64M
    files: {redis/redis.conf.j2: /etc/redis.conf}
    tmpfs: [/tmp]
    volumes: {data: /var/lib/redis}
    secrets: [canary_password]
    health: [{port: 6379, send: "PING\\r\\n", expect: +PONG}]
  mta:
    image: mta
    user: 0
    command: [postfix, start-fg]
    networks: [edge]
    memory: 1G
    files: {mta/main.cf.j2: /etc/postfix/main.cf, mta/master.cf: /etc/postfix/master.cf}
    secrets: [tls, settings, canary_password]
    capabilities: [SETUID]
    health: [{port: 587, expect: "220 "}]
    stop_seconds: 45
    ports:
      submission: {container: 587, published: 587, tls: starttls}
      imaps: {container: 993, published: 993, tls: implicit}
"""

TEMPLATES = {
    "redis/redis.conf.j2": "maxmemory {{ service.memory // 2 }}\n",
    "mta/main.cf.j2": "myhostname = {{ settings.hostname }}\n"
    "{% for domain in settings.domains %}\ndomain = {{ domain.name }}\n{% endfor %}\n",
    "mta/master.cf": "submission inet n - n - - smtpd -o {{ not a template }} $x\n",
}


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def make_image(name: str, manifest: str, config: str) -> Image:
    return Image(reference(name, digest(manifest)), digest(manifest), digest(config), 1000)


RELEASE = Release(
    version="0.1.0",
    base="ubuntu",
    commit="0123456789abcdef",
    built="2026-11-24T06:00:00Z",
    keys="test",
    images={"redis": make_image("redis", "a", "b"), "mta": make_image("mta", "c", "d")},
)


def write_share(share: Path) -> None:
    """What is in /usr/share/mailstead of an image, but for the archive."""
    compose = share / "compose"
    compose.mkdir(parents=True)
    (compose / "services.yaml").write_text(SERVICES)
    for name, text in TEMPLATES.items():
        (compose / name).parent.mkdir(exist_ok=True)
        (compose / name).write_text(text)
    write_release(share / "release.json", RELEASE)


def show_certificate(paths: Paths) -> None:
    """What a rendered stack leaves of its certificate: that which the machine trusts."""
    made = ensure_certificate(paths.tls, "mail.example.com")
    paths.stack.mkdir(parents=True, exist_ok=True)
    paths.certificate.write_bytes(made.certificate)

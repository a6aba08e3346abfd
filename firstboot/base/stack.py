"""Renders everything the containers need into one directory: `write_stack`.

The directory is derived: settings, services, release and the state's secrets determine it, so it
can be made anew at any time, and the same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import jinja2

from firstboot.base.certificate import Certificate
from firstboot.base.compose import Mount, StackOptions, compose_document, dump_compose
from firstboot.base.errors import StackError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.livestack import fixed_settings, put_dkim_keys, put_settings
from firstboot.base.release import Release
from firstboot.base.rendering import Rendering
from firstboot.base.sections import Relay
from firstboot.base.services import (
    DIRECTORY_SECRETS,
    OPTIONAL_SECRETS,
    RELAY_SECRET,
    SETTINGS_SECRET,
    SPECIAL_SECRETS,
    TLS_SECRET,
    Service,
    Stack,
)
from firstboot.base.settings import Settings
from firstboot.base.tls import current_certificate, join_pem, leaf_pem
from firstboot.base.web import read_web

SECRET_BYTES = 32
CERTIFICATE = "certificate.pem"


def write_stack(
    settings: Settings,
    stack: Stack,
    release: Release,
    *,
    templates: Path,
    config: Path,
    state: Path,
    options: StackOptions,
) -> Path:
    """Render the stack and return the path of its compose file.

    Into `config`: compose.yaml, certificate.pem (what the services show, without its key),
    files/<service>/… and secrets/<service>/…; what an earlier run left there and this one does not
    need is removed. In `state`, which lasts, only what is missing is made: secrets/<name> (64
    hexadecimal digits), tls/{certificate,key}.pem, dkim/<domain>/<selector>.pem, and the folders
    <service>/<folder> of the volumes.

    Raises StackError for a template or a secret that cannot be used, ReleaseError for a service
    whose image the release lacks.
    """
    rendering = Rendering(templates, config, state)
    make_directory(state, mode=0o711 if rendering.owned else 0o700)
    make_directory(config, mode=0o711 if rendering.owned else 0o700)
    material = _secret_material(settings, stack, state)
    put_settings(rendering, settings, stack)
    certificate = current_certificate(state / "tls", settings)
    _put_certificate(rendering, stack, certificate)
    put_dkim_keys(rendering, settings, stack)
    environment = _environment(templates)
    mounts: dict[str, tuple[Mount, ...]] = {}
    digests: dict[str, str] = {}
    for service in stack.services:
        made = [
            *_write_files(rendering, environment, settings, stack, service),
            *_write_secrets(rendering, service, material),
            *fixed_settings(rendering, settings, service),
        ]
        digests[service.name] = _digest(data for _, data in made)
        mounts[service.name] = (
            *(mount for mount, _ in made),
            *_directory_mounts(rendering, service),
            *_make_volumes(rendering, service),
            *_socket_mounts(rendering, service),
        )
    document = compose_document(stack, release, mounts=mounts, digests=digests, options=options)
    compose = config / "compose.yaml"
    rendering.put(compose, dump_compose(document).encode())
    _remove_others(config, rendering.written)
    return compose


def write_certificate(certificate: Certificate, stack: Stack, config: Path) -> None:
    """Give a new certificate to a stack that was rendered before, also while it runs.

    Services see it in the directory that they have mounted; see `Service.reload`.
    """
    _put_certificate(Rendering(config, config, config), stack, certificate)


def _put_certificate(rendering: Rendering, stack: Stack, certificate: Certificate) -> None:
    """Key and chain in one file for each service, and the certificate for who connects to them."""
    for service in stack.services:
        if TLS_SECRET in service.secrets:
            file = rendering.secret_directory(service, TLS_SECRET) / CERTIFICATE
            rendering.put(file, join_pem(certificate), user=service.user)
    rendering.put(rendering.config / CERTIFICATE, leaf_pem(certificate))


def _directory_mounts(rendering: Rendering, service: Service) -> Iterator[Mount]:
    """A directory: a file would stay the old one in the container when it is replaced.

    It does not count in the service's digest, since a new certificate needs no new container.
    """
    for name in service.secrets:
        if name in DIRECTORY_SECRETS and name != SETTINGS_SECRET:
            source = rendering.secret_directory(service, name)
            yield Mount(source, f"/run/secrets/{name}", read_only=True)


def _environment(templates: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        # Nothing rendered here is HTML, and escaping would damage it.
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _write_files(
    rendering: Rendering,
    environment: jinja2.Environment,
    settings: Settings,
    stack: Stack,
    service: Service,
) -> Iterator[tuple[Mount, bytes]]:
    """Render the templates of a service; a file not called *.j2 is taken as it is."""
    for file in service.files:
        try:
            if file.template.endswith(".j2"):
                template = environment.get_template(file.template)
                text = template.render(
                    settings=settings,
                    stack=stack,
                    service=service,
                    web=read_web(settings, stack),
                )
            else:
                text = (rendering.templates / file.template).read_text(encoding="utf-8")
        except (jinja2.TemplateNotFound, OSError):
            what = f"file {file.template} of {service.name} is missing"
            raise StackError(f"{what} in {rendering.templates}") from None
        except jinja2.TemplateSyntaxError as error:
            where = f"{file.template}:{error.lineno}"
            raise StackError(f"template {where} is malformed: {error.message}") from None
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise StackError(f"template {file.template} cannot be rendered: {error}") from None
        name = file.template.removesuffix(".j2")
        path = rendering.config / "files" / service.name / name
        rendering.put(path, text.encode())
        yield Mount(path, file.target, read_only=True), text.encode()


def _write_secrets(
    rendering: Rendering, service: Service, material: Mapping[str, bytes]
) -> Iterator[tuple[Mount, bytes]]:
    """Copy a service's secrets, each readable by this service's user alone."""
    for name in service.secrets:
        if name in DIRECTORY_SECRETS or (name in OPTIONAL_SECRETS and name not in material):
            continue
        path = rendering.config / "secrets" / service.name / name
        rendering.put(path, material[name], user=service.user)
        yield Mount(path, f"/run/secrets/{name}", read_only=True), material[name]


def _make_volumes(rendering: Rendering, service: Service) -> Iterator[Mount]:
    for volume in service.volumes:
        path = rendering.state / service.name / volume.folder
        make_directory(path.parent)
        if rendering.owned:
            # What starts as root gives it up for users of its own, who have to get in.
            make_directory(path, mode=0o700 if service.user else 0o755, owner=service.user)
        else:
            make_directory(path, mode=0o777)
        yield Mount(path, volume.target, read_only=False)


def _socket_mounts(rendering: Rendering, service: Service) -> Iterator[Mount]:
    """Folders, since a socket is made anew when who listens is restarted."""
    for socket in service.sockets:
        folder = rendering.config.parent / socket.folder
        make_directory(folder, mode=0o711)
        # One can connect through a mount that is read-only.
        yield Mount(folder, socket.target, read_only=True)


def _secret_material(settings: Settings, stack: Stack, state: Path) -> dict[str, bytes]:
    """The content of every secret that is one file and that a service wants."""
    material: dict[str, bytes] = {}
    if settings.relay.username:
        material[RELAY_SECRET] = _relay_login(settings.relay)
    make_directory(state / "secrets", mode=0o700)
    for service in stack.services:
        for name in service.secrets:
            if name not in SPECIAL_SECRETS:
                material[name] = _random_secret(state / "secrets" / name)
    return material


def _relay_login(relay: Relay) -> bytes:
    """The login at a smart host as Postfix looks it up (postconf(5), smtp_sasl_password_maps)."""
    return f"[{relay.host}]:{relay.number} {relay.username}:{relay.password}\n".encode("ascii")


def _random_secret(path: Path) -> bytes:
    """The secret in a file, made when it is missing. Never replaced: something may depend on it."""
    if not path.exists():
        write_atomic(path, secrets.token_hex(SECRET_BYTES), mode=0o600)
    content = path.read_bytes()
    if len(content) != 2 * SECRET_BYTES or not content.isalnum():
        raise StackError(
            f"secret {path} is damaged: expected {2 * SECRET_BYTES} hexadecimal digits",
            "Restore it from a backup, or delete it if nothing depends on it yet.",
        )
    return content


def _digest(parts: Iterator[bytes]) -> str:
    """What a service's files contain. In the compose file, so that a change makes a new container.

    Compose looks at its own file only and would leave a container with outdated mounts running.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _remove_others(config: Path, written: set[Path]) -> None:
    """Remove what an earlier run left: its files, then the directories that this made empty."""
    for path in sorted(config.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in written:
            path.unlink()

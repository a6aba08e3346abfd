"""One stack for all tests here, apart from a developer's own, and gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from firstboot.base.engine import TIMEOUT_SECONDS
from firstboot.base.services import Stack, read_stack
from tests.stack.beside import remove_left
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.people import EXAMPLE
from tests.web.browser import PHONE_WIDTH, Browser, open_browser
from tools.build.appliance import Parts
from tools.build.image import build_parts
from tools.build.source import CHECKOUT
from tools.host.cache import cache_folder, lock
from tools.host.report import say
from tools.stack.home import Home
from tools.stack.lifecycle import StackUp, stack_down, stack_up


@pytest.fixture(scope="session")
def base(request: pytest.FixtureRequest) -> str:
    name: str = request.config.getoption("--base")
    return name


@pytest.fixture(scope="session")
def parts(base: str) -> Parts:
    """The containers under test, the same from the first test to the last."""
    return build_parts(base, report=say)


@pytest.fixture(scope="package")
def stack(base: str, parts: Parts) -> Iterator[StackUp]:
    """A running stack with EXAMPLE's people."""
    home = Home(cache_folder("tests") / "stack", "mailstead-tests")
    with lock("stack-tests", "testing the stack"):
        # What a killed run has left.
        stack_down(home=home)
        try:
            up = stack_up(base, say, home=home, example=EXAMPLE, parts=parts)
            with contextlib.closing(
                docker.APIClient(base_url=up.engine.host, timeout=TIMEOUT_SECONDS)
            ) as api:
                remove_left(api)
            yield up
        finally:
            stack_down(home=home)


@pytest.fixture(scope="package")
def mail(stack: StackUp) -> Mail:
    return Mail(stack)


@pytest.fixture(scope="session")
def services() -> Stack:
    """What the stack was made from."""
    return read_stack(CHECKOUT / "compose/services.yaml")


@pytest.fixture(scope="package")
def boxes(stack: StackUp) -> Iterator[Boxes]:
    """The stack's containers."""
    api = docker.APIClient(base_url=stack.engine.host, version="auto", timeout=TIMEOUT_SECONDS)
    yield Boxes(stack, api)
    api.close()


@pytest.fixture
def all_well(boxes: Boxes) -> Iterator[Boxes]:
    """The containers, for a test that breaks some: the next test finds them healthy."""
    yield boxes
    boxes.mend()


@pytest.fixture(scope="session")
def album() -> Path:
    """Where screenshots of the last run lie, to be looked at."""
    folder = cache_folder() / "evidence" / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(params=[1280, PHONE_WIDTH])
def browser(album: Path, request: pytest.FixtureRequest, mail: Mail) -> Iterator[Browser]:
    """A browser with a fresh profile, on a desk and on a phone."""
    host, certificate = mail.stack.hostname, mail.stack.certificate
    with open_browser(album, request.param, here=host, certificate=certificate) as opened:
        yield opened
        assert opened.console_errors() == []

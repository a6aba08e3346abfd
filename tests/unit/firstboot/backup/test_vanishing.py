"""A target that vanishes in the midst of a backup: it ends, and what was there is intact."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from firstboot.system import resticpatience
from firstboot.system.restic import Progress, Restic
from firstboot.system.resticerrors import RepositoryGoneError
from firstboot.system.resticpatience import Patience
from tests.unit.firstboot.backup.servers import server
from tests.unit.firstboot.ports import free_port
from tests.unit.firstboot.repositories import make_repository

HOST = "mail.example.com"
SAVE, OTHER = "Save(<data/4d9d44e5ba>)", "Save(<data/2baf2cff06>)"


def failed(request: str) -> str:
    return f'{request} returned error, retrying after 1.3s: Post "http://:***@x": refused'


def said(lines: list[tuple[float, str]]) -> str:
    """What patience ends with when restic complains of these at these times; "" when it lasts."""
    now = 0.0
    patience = Patience(clock=lambda: now)
    for now, line in lines:  # noqa: B007 - the clock reads it
        try:
            patience(line)
        except RepositoryGoneError as error:
            return error.message
    return ""


def test_a_request_that_fails_for_five_minutes_is_the_last() -> None:
    assert said([(0, failed(SAVE)), (200, failed(SAVE)), (299, failed(SAVE))]) == ""
    gone = said([(0, failed(SAVE)), (200, failed(SAVE)), (310, failed(SAVE))])
    assert gone.startswith("the place of the backups has not answered for 310 s: Post ")
    assert gone.endswith("refused")


def test_what_works_again_is_forgiven() -> None:
    works = f"{SAVE} operation successful after 3 retries"
    assert said([(0, failed(SAVE)), (250, works), (260, failed(SAVE)), (500, failed(SAVE))]) == ""
    assert said([(0, failed(SAVE)), (250, works), (260, failed(SAVE)), (560, failed(SAVE))])
    # Another request that works says nothing of this one.
    works = f"{OTHER} operation successful after 3 retries"
    assert said([(0, failed(SAVE)), (1, failed(OTHER)), (250, works), (301, failed(SAVE))])


def test_other_words_are_no_failure_of_the_place() -> None:
    assert said([(0, "warning: a file is odd"), (900, "warning: a file is odd")]) == ""


def test_a_server_that_vanishes_ends_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, folder = tmp_path / "repository", tmp_path / "folder"
    folder.mkdir()
    (folder / "first").write_bytes(b"backed up before")
    port = free_port()
    argv = ["rclone", "serve", "restic", "--addr", f"127.0.0.1:{port}", str(repository)]
    location = tmp_path / "location"
    location.write_text(f"rest:http://127.0.0.1:{port}/\n")
    (tmp_path / "temporary").mkdir()
    # So slow that it is not done before the server is gone.
    restic = Restic(location, b"a long password", tmp_path / "temporary", upload_limit=500)
    make_repository(repository, {"machine": restic.password})
    monkeypatch.setattr(resticpatience, "GIVE_UP_SECONDS", 4.0)
    with ExitStack() as there:
        there.enter_context(server(argv, port, tmp_path / "log"))
        restic.backup(folder, host=HOST)
        (folder / "second").write_bytes(os.urandom(40_000_000))
        vanished: list[float] = []

        def vanish(step: Progress) -> None:
            if step.bytes_done and not vanished:
                vanished.append(time.monotonic())
                there.close()

        with pytest.raises(RepositoryGoneError, match="has not answered for"):
            restic.backup(folder, host=HOST, progress=vanish)
        # By itself restic would try for fifteen minutes.
        assert time.monotonic() - vanished[0] < 600
    with server(argv, port, tmp_path / "log"):
        assert [found.host for found in restic.snapshots()] == [HOST]
        restic.unlock()
        restic.check(read_data="100%")
        replace(restic, upload_limit=None).backup(folder, host=HOST)
        assert len(restic.snapshots()) == 2

"""Steps: run once for the same inputs, whole or not at all, and old results go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.build.steps import KEPT_RESULTS, Steps


class Recorder:
    """Steps in a folder of the test's own, with the lines that they report."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.folder = folder
        self.steps = Steps(folder, self.lines.append)

    def run(self, inputs: str, name: str = "container base") -> Path:
        return self.steps.run(name, inputs.ljust(64, "0"), _make)


def _make(result: Path) -> None:
    assert list(result.iterdir()) == []
    (result / "file").write_text("made")


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "steps")


def test_a_step_runs_once_for_the_same_inputs(recorder: Recorder) -> None:
    result = recorder.run("a")
    (result / "mark").touch()
    assert recorder.run("a") == result
    assert (result / "mark").exists()
    assert result.name == "container-base-a000000000000000"
    assert recorder.lines[0] == "Building the container base …"
    assert len(recorder.lines) == 2


def test_other_inputs_give_another_result(recorder: Recorder) -> None:
    assert recorder.run("a") != recorder.run("b")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_step_that_ends_early_leaves_nothing(
    recorder: Recorder, error: type[BaseException]
) -> None:
    def fail(result: Path) -> None:
        (result / "half").touch()
        raise error

    with pytest.raises(error):
        recorder.steps.run("container base", "a" * 64, fail)
    assert list(recorder.folder.iterdir()) == []
    assert (recorder.run("a") / "file").exists()


def test_what_a_killed_run_left_is_thrown_away(recorder: Recorder) -> None:
    left = recorder.folder / ".unfinished-killed"
    left.mkdir(parents=True)
    recorder.run("a")
    assert not left.exists()


def test_the_results_used_last_are_kept(recorder: Recorder) -> None:
    results = []
    for age, inputs in enumerate("abcdef"[:KEPT_RESULTS]):
        results.append(recorder.run(inputs))
        os.utime(results[-1], (1000 + age, 1000 + age))
    # The oldest is used again, so the second oldest has to go.
    recorder.run("a")
    recorder.run("f")
    assert results[0].exists()
    assert not results[1].exists()


def test_results_of_other_steps_are_not_in_the_way(recorder: Recorder) -> None:
    mine = recorder.run("a", "image")
    others = [recorder.run(inputs, "testing image") for inputs in "abcde"]
    assert mine.exists()
    assert [other.exists() for other in others] == [False, False, True, True, True]

"""Full disks in whatever words they are told, and the time of a training over its interruptions."""

from __future__ import annotations

import errno
import json
from types import SimpleNamespace

import pytest

from fairbench.errors import FairbenchError
from fairbench.mitigation.following import Course, DiskFullError, Watch, disk_faults
from fairbench.training.watching import SECONDS, Clock


def checkpoint(room, step: int, whole: bool = True):
    folder = room / "training" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text("{}" if whole else '{"half')
    return folder


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError(
            "[enforce fail at inline_container.cc:603] . PytorchStreamWriter failed writing file data/0: file write failed"
        ),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)\nand more"),
    ],
    ids=["space", "size", "quota", "torch", "safetensors"],
)
def test_a_full_disk_is_one_paragraph_that_says_what_is_kept(error, tmp_path):
    for step, kept in ((None, "There is no whole checkpoint yet"), (5, "The checkpoint after step 5 is whole")):
        if step:
            checkpoint(tmp_path, step)
            half = checkpoint(tmp_path, 10, whole=False)
        with (
            pytest.raises(DiskFullError, match=f"{kept}. Make space and run the same command again") as caught,
            disk_faults(tmp_path),
        ):
            raise error
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert not half.exists()


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "Permission denied"), ValueError("no"), FairbenchError("no space left"), KeyboardInterrupt()]
)
def test_other_faults_are_left_as_they_are(error, tmp_path):
    with pytest.raises(type(error)) as caught, disk_faults(tmp_path):
        raise error
    assert caught.value is error


def test_the_time_of_a_training_goes_on_after_an_interruption(tmp_path):
    (tmp_path / SECONDS).write_text("100.5")
    assert 100.5 <= Clock(tmp_path).spent() < 160
    (tmp_path / SECONDS).write_text("half a num")
    assert Clock(tmp_path).spent() < 60


def test_progress_tells_the_terms_and_every_checkpoint_is_logged(tmp_path):
    said = []
    watch = Watch(tmp_path, lambda *given: said.append(given))
    state = SimpleNamespace(is_world_process_zero=True, global_step=3, max_steps=9)
    control = SimpleNamespace(should_save=True, should_log=False)
    watch.on_log(None, state, control, logs={"loss": 1.0, "kd": 0.25, "lm": 3.0, "tokens_per_second": 1234.5})
    watch.on_step_end(None, state, control)
    watch.on_save(None, state, control)
    assert said == [("training · KL 0.25 + text 3, 1,234 tokens/s", 3, 9)] and control.should_log
    assert json.loads((tmp_path / SECONDS).read_text()) >= 0


def test_a_course_is_built_in_types():
    course = Course(steps=2, epochs=0.5, seconds=1.5, tokens=64, history=({"step": 1, "loss": 2.0},))
    assert json.loads(json.dumps(course.as_dict())) == course.as_dict()

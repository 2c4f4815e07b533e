"""From a request to a finished model folder: options read, the job named by all that makes it, interruptions, and the card.

What is being made lies beside its place, in `<folder>.partial`, and moves there whole. The same command again goes on with what
an interruption left, and finds a finished model as it is; another command does not write over either.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.counterfactual.swapping import rules_digest
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest, lock_of, require_writable, write_json
from fairbench.mitigation import Estimate, Job, MethodFile, Progress, Texts
from fairbench.mitigation.card import shown_name, write_card
from fairbench.mitigation.processes import Processes
from fairbench.models.loading import PLANTED_CARD, inspect_model, planted_card
from fairbench.models.model import ModelOptions
from fairbench.registry import Registry
from fairbench.results import versions
from fairbench.scores import jsonable

if TYPE_CHECKING:
    from fairbench.mitigation.texts import TextOptions

MADE_VERSION = 1
ABOUT = "fairbench.json"
"""What is known of a model that was made, beside its weights; written last."""

JOB = "job.json"
"""In an unfinished model's folder: the name of the job that it belongs to."""


@dataclass(frozen=True, kw_only=True)
class MitigateOptions:
    """A request.

    Attributes:
        method: its name.
        options: of the method, as text or as what they mean.
        corpus: what it learns from; null for a method that needs no texts.
        texts: how that is read; null for the usual way.
        model: how the model is loaded.
        output_path: the folder of the new model.
    """

    method: str
    output_path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    corpus: str | None = None
    texts: TextOptions | None = None
    model: ModelOptions = field(default_factory=ModelOptions)


@dataclass(frozen=True)
class Product:
    """A model that was made.

    Attributes:
        folder: where it lies.
        about: all that is known of it, as in its fairbench.json.
        fresh: whether it was made now, or found.
    """

    folder: Path
    about: Mapping[str, Any]
    fresh: bool


def mitigate(model: str, wanted: MitigateOptions, progress: Progress = lambda what, done, total: None) -> Product:
    """Makes a mitigated model, or finds the one that the same request made before.

    Args:
        model: a folder, a Hub id, or planted:NAME.
        wanted: the request.
        progress: called with (what, done, total).

    Raises:
        FairbenchError: the request is wrong, or the method can't do it.
    """
    from fairbench.mitigation.following import disk_faults

    found, job = _job(model, wanted, progress)
    processes = Processes(job.card.options.device)
    target, key = wanted.output_path, _key(job, wanted, processes)
    if (done := _finished(target, job.room, key, processes)) is not None:
        return done
    with disk_faults(job.room), lock_of(target) if processes.main else contextlib.nullcontext():
        processes.wait()  # until whoever was making the same is done with it
        if (done := _finished(target, job.room, key, processes)) is not None:
            return done
        fresh = job.room / "model"
        if processes.main:
            _begin(target, job.room, key)
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
        processes.wait()
        with _given_up(job.room, processes):
            said = found.make(job, fresh)
            about = _about(job, wanted, key, said)
            if processes.main:
                _finish(fresh, target, about, planted_card(Path(job.card.folder)))
                _clear(job.room)
        processes.wait()
    return Product(target, about, fresh=True)


def estimate(model: str, wanted: MitigateOptions, progress: Progress = lambda what, done, total: None) -> Estimate:
    """What `mitigate` would take; nothing is written but in a folder that vanishes.

    Raises:
        FairbenchError: as `mitigate`.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        found, job = _job(model, wanted, progress, Path(scratch))
        told = found.estimate(job)
    options = {f"option {name}": value for name, value in job.options.items()}
    warnings = [*_of_texts(job), *told.what.get("warnings", ())]
    what = {"method": wanted.method, "model": job.card.name, **told.what, **options, "warnings": warnings}
    return dataclasses.replace(told, what=what)


def read_options(method: str, found: MethodFile, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of a method, read or at its default.

    Raises:
        FairbenchError: there is no such option, or a value is none.
    """
    for name in given:
        if name not in found.OPTIONS:
            known = tuple(found.OPTIONS)
            raise FairbenchError(
                f"The method {method} has no option {name!r}.{did_you_mean(name, known)} It has {', '.join(known) or 'none'}."
            )
    return {
        name: option.parse(name, given[name]) if given.get(name) is not None else option.default
        for name, option in found.OPTIONS.items()
    }


def _job(model: str, wanted: MitigateOptions, progress: Progress, scratch: Path | None = None) -> tuple[MethodFile, Job]:
    """The method and its job. What the model itself writes is kept beside the new model, for other methods to learn from too."""
    registry = Registry()
    found = registry.method(wanted.method)
    _refuse_occupied(wanted.output_path)
    options = read_options(wanted.method, found, wanted.options)
    card = inspect_model(model, wanted.model)
    if card.kind not in found.KINDS:
        raise FairbenchError(
            f"{card.name} is {'an' if card.kind == 'encoder' else 'a'} {card.kind} model ({card.architecture}), and "
            f"{wanted.method} is for {' and '.join(found.KINDS)} models. Choose another method (`fairbench list methods`) or "
            "another model."
        )
    given = frozenset(name for name, value in wanted.options.items() if value is not None)
    options = found.resolve(card, options, given)
    place = wanted.output_path.resolve()  # "." has no name of its own
    room = scratch or place.with_name(f"{place.name or 'model'}.partial")
    if scratch is None:
        require_writable(wanted.output_path.parent)
    texts = _texts(wanted, found, card, registry, scratch or wanted.output_path.parent, progress)
    return found, Job(card=card, options=options, texts=texts, room=room, progress=progress)


def _texts(wanted: MitigateOptions, found: MethodFile, card: Any, registry: Registry, room: Path, progress: Progress) -> Any:
    if not found.NEEDS_TEXTS:
        if wanted.corpus is not None:
            raise FairbenchError(f"--corpus {wanted.corpus}: {wanted.method} learns from no texts. Leave it out.")
        return None
    if wanted.corpus is None:
        raise FairbenchError(
            f"{wanted.method} learns from texts, and no corpus is named. Give --corpus: a file, a folder or a pattern of files, "
            "a data set of the Hub (OWNER/NAME), planted:DIAL, or `sampled` for text that the model itself writes."
        )
    from fairbench.mitigation.texts import TextOptions, open_texts

    return open_texts(wanted.corpus, card, wanted.texts or TextOptions(), room, registry, progress)


def _key(job: Job, wanted: MitigateOptions, processes: Processes) -> str:
    """The name of what is made: a hash over all that makes it."""
    method = Registry().method(wanted.method)
    texts = None if job.texts is None else job.texts.identity
    student = {}
    if job.options.get("student"):
        student = inspect_model(job.options["student"], dataclasses.replace(wanted.model, revision=None)).identity
    made_by = [MADE_VERSION, wanted.method, method.VERSION, rules_digest(), processes.count]  # each takes a batch of its own
    return digest([*made_by, job.card.identity, student, dict(job.options), texts])[:32]


def _finished(target: Path, room: Path, key: str, processes: Processes) -> Product | None:
    """The model that lies at the place already, if it is the one that was asked for. What a kill left beside it is removed.

    Raises:
        FairbenchError: something else lies there.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return None
    try:
        about = json.loads((target / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        about = {}
    if about.get("key") == key:
        if processes.main and _job_in(room) == key:
            _clear(room)
        return Product(target, about, fresh=False)
    what = f"a model made by {about['method']} of {about['base']['name']}" if "method" in about else "something else"
    raise FairbenchError(
        f"--output-path {target}: {what} lies there, which is not what this command would make. Nothing was changed: choose "
        "another folder, or remove that one."
    )


def _refuse_occupied(target: Path) -> None:
    """Refuses a place where something lies that fairbench did not make, before anything is loaded."""
    ours = target.is_dir() and (not any(target.iterdir()) or (target / ABOUT).is_file())
    if target.exists() and not ours:
        raise FairbenchError(
            f"--output-path {target}: something else lies there, which is not what this command would make. Nothing was changed: "
            "choose another folder, or remove that one."
        )


def _begin(target: Path, room: Path, key: str) -> None:
    """Makes the folder of an unfinished model, or finds this job's own.

    Raises:
        FairbenchError: another job's lies there.
    """
    known = _job_in(room)
    if known not in (None, key):
        raise FairbenchError(
            f"{room} holds an unfinished model of another command (other options, texts or model). Repeat that command to "
            f"finish it, remove the folder to give it up, or choose another place than {target}."
        )
    if known is None:
        if room.exists() and not (room.is_dir() and all(path.name.startswith(f".{JOB}") for path in room.iterdir())):
            raise FairbenchError(
                f"{room} is where this command would keep its unfinished model, but something else lies there. Nothing was "
                f"changed: move it away, or choose another place than {target}."
            )
        room.mkdir(parents=True, exist_ok=True)
        write_json(room / JOB, {"key": key})


def _job_in(room: Path) -> str | None:
    """The key of the job whose unfinished model a folder holds; null where it holds none."""
    try:
        return str(json.loads((room / JOB).read_text(encoding="utf-8"))["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def _given_up(room: Path, processes: Processes) -> Iterator[None]:
    """Leaves no unfinished model behind a request that can't be served: another one has to be made, under another key.

    A full disk is no such fault, nor is what went wrong after a checkpoint was written: the same command goes on with that.
    """
    from fairbench.mitigation.following import DiskFullError, last_checkpoint

    try:
        yield
    except FairbenchError as error:
        if processes.main and not isinstance(error, DiskFullError) and last_checkpoint(room / "training") is None:
            _clear(room)
        raise


def _clear(room: Path) -> None:
    """Removes the folder of an unfinished model, its note last, so that what a kill leaves of it is still known as ours."""
    for path in room.iterdir():
        if path.name != JOB:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(room, ignore_errors=True)


def _about(job: Job, wanted: MitigateOptions, key: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a new model, in the types in which it is read again."""
    about: dict[str, Any] = {
        "key": key,
        "method": wanted.method,
        "base": {
            "name": shown_name(job.card.name),
            "revision": job.card.revision,
            "architecture": job.card.architecture,
            **job.card.identity,
        },
        "options": {name: shown_name(value) if name == "student" else value for name, value in job.options.items()},
        "corpus": None if job.texts is None else _corpus(job.texts),
        **said,
        "warnings": [*_of_texts(job), *said.get("warnings", ())],
        "versions": versions(),
    }
    return {name: jsonable(value) for name, value in about.items()}


def _of_texts(job: Job) -> list[str]:
    """What must be said of the texts: that only the first were read, that a revision was not pinned."""
    return [] if job.texts is None else list(job.texts.provenance.get("warnings", ()))


def _corpus(texts: Texts) -> dict[str, Any]:
    """Where texts come from, without the folders of this machine."""
    named = {name: value for name, value in texts.provenance.items() if name not in ("corpus", "warnings")}
    return {"name": shown_name(texts.name), **named}


def _finish(fresh: Path, target: Path, about: Mapping[str, Any], planted: Mapping[str, Any]) -> None:
    """Writes what is known of a model, and puts its folder into its place, which is free or an empty folder.

    What is made of a planted model knows the planted world alone: its sanity is asked in that language too.
    """
    if "sanity_text" in planted:
        write_json(fresh / PLANTED_CARD, {"made_of": planted.get("name"), "sanity_text": planted["sanity_text"]})
    write_card(fresh, about)
    write_json(fresh / ABOUT, about)
    for path in fresh.iterdir():
        path.chmod(0o644)  # safetensors makes its file private
    if target.exists():
        target.rmdir()
    fresh.replace(target)

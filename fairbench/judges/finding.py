"""What a judge's options come to, and the model that they name: found, and refused where it can't judge, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.judges import Room
from fairbench.judges.choosing import one_of, whole_number
from fairbench.models.loading import inspect_model
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.models.source import PLANTED, find_source
from fairbench.sources import HUB_TIMEOUT, is_commit

DTYPE = "float32"
"""Of every model that judges: half precision would move a probability by more than many gaps are wide."""

OPTIONS: Mapping[str, Any] = {"by": "", "revision": "", "allow_pickle": "false"}
"""What every judge that is a model can be told. An empty revision is the main branch, or what a default model is pinned to."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """The model that a judge is to judge by.

    Attributes:
        judge: the judge's name, for messages.
        by: a folder or a Hub id.
        revision: a branch, tag or commit on the Hub; null for the main branch.
        allow_pickle: weights that are pickles may be read.
        otherwise: what to do where there is no such model, a sentence.
    """

    judge: str
    by: str
    revision: str | None
    allow_pickle: bool
    otherwise: str


def named(judge: str, options: Mapping[str, Any], otherwise: str, pinned: Mapping[str, str] | None = None) -> Named:
    """Reads the options that every judge of this kind has.

    Args:
        judge: its name.
        options: at least `OPTIONS`.
        otherwise: what to do where there is no such model, a sentence.
        pinned: models with the commit that is meant where the options name no revision.

    Raises:
        FairbenchError: no model is named.
    """
    by, revision = (str(options[name]).strip() for name in ("by", "revision"))
    if not by:
        raise FairbenchError(f"The judge {judge} needs a model to judge by, and none is named. {otherwise}")
    return Named(
        judge=judge,
        by=by,
        revision=revision or (pinned or {}).get(by),
        allow_pickle=yes(judge, options, "allow_pickle"),
        otherwise=otherwise,
    )


def find_model(wanted: Named, room: Room) -> ModelCard:
    """The card of the model.

    Raises:
        DataAbsent: there is no such folder, or the Hub does not hand it out.
        FairbenchError: it is there and can't be used.
    """
    options = ModelOptions(revision=wanted.revision, dtype=DTYPE, device=room.device, allow_pickle=wanted.allow_pickle)
    _ask_once(wanted)
    try:
        find_source(wanted.by, options)
    except FairbenchError as error:
        if Path(wanted.by).expanduser().exists() or wanted.by.startswith(PLANTED):
            raise _refused(wanted, error) from error
        raise DataAbsent(f"The judge {wanted.judge} has no model to judge by. {error} {wanted.otherwise}") from error
    try:
        return inspect_model(wanted.by, options)
    except FairbenchError as error:
        raise _refused(wanted, error) from error


def identity(card: ModelCard) -> dict[str, Any]:
    """Which model judges: all of it that can change a judgement, and its name; of a folder only its own name, never its path."""
    local = card.revision is None and not card.name.startswith(PLANTED)
    return {
        "by": Path(card.folder).name if local else card.name,
        "revision": card.revision,
        **{name: card.identity[name] for name in ("weights", "tokenizer", "config", "dtype")},
    }


def notes(wanted: Named, card: ModelCard) -> tuple[str, ...]:
    """What a score that rests on this model has to say of it."""
    flaws = tuple(f"The judge {wanted.judge}: {note}" for note in card.notes)
    if card.revision is None or is_commit(wanted.revision):
        return flaws
    branch = wanted.revision or "its main branch"
    return (
        f"The judge {wanted.judge} is not pinned: {card.name} was read at {card.revision}, the commit of {branch}, which may "
        f"come to be another one. Pin it with --judge {wanted.judge}={card.name},revision={card.revision}.",
        *flaws,
    )


def yes(judge: str, options: Mapping[str, Any], name: str) -> bool:
    """An option that is true or false, as text or as such."""
    return one_of(judge, {name: str(options[name]).strip().lower()}, name, ("true", "false")) == "true"


def positive(judge: str, options: Mapping[str, Any], name: str) -> int | None:
    """An option that is a positive whole number; null where it is empty."""
    return whole_number(judge, options, name, at_least=1) if str(options[name]).strip() else None


def listed(judge: str, options: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """An option that is several names joined by +; none where it is empty."""
    text = str(options[name]).strip()
    found = tuple(part.strip() for part in text.split("+")) if text else ()
    if not all(found) or len({part.casefold() for part in found}) < len(found):
        raise FairbenchError(f"--judge {judge}: found {name}={options[name]}, wanted different names joined by +.")
    return found


def _ask_once(wanted: Named) -> None:
    """Sees whether the Hub can be reached where a commit is not in its cache: its client would try for half a minute.

    Raises:
        DataAbsent: it can't. Whatever else is wrong is said by who fetches the files.
    """
    if not is_commit(wanted.revision) or Path(wanted.by).expanduser().exists() or wanted.by.startswith(PLANTED):
        return
    from huggingface_hub import HfApi, errors, snapshot_download

    try:
        snapshot_download(wanted.by, revision=wanted.revision, local_files_only=True)
    except (errors.LocalEntryNotFoundError, OSError, ValueError):
        try:
            HfApi().model_info(wanted.by, revision=wanted.revision, timeout=HUB_TIMEOUT)
        except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, errors.HFValidationError):
            return
        except Exception as error:  # whatever the network stack raises
            raise DataAbsent(
                f"The judge {wanted.judge} has no model to judge by: {wanted.by} is no folder here, the Hub's cache does not "
                f"hold it at {wanted.revision}, and the Hub could not be reached ({error}). {wanted.otherwise}"
            ) from error


def _refused(wanted: Named, error: FairbenchError) -> FairbenchError:
    return FairbenchError(f"The judge {wanted.judge} can't judge by {wanted.by}. {error}")

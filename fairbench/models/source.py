"""Where a model's files lie: a folder, a planted model of this package, or a snapshot from the Hugging Face Hub."""

from __future__ import annotations

import importlib.resources
import os
from dataclasses import dataclass
from pathlib import Path

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.model import ModelOptions

PLANTED = "planted:"

INERT = ["*.json", "*.txt", "*.model", "*.safetensors", "*.jinja"]
"""What may always be fetched from the Hub: none of it runs as code when it is read (templates run in Jinja's sandbox)."""


@dataclass(frozen=True)
class Source:
    """A folder on this machine and, where it is a snapshot of the Hub, the commit that it holds."""

    folder: Path
    revision: str | None


def find_source(name: str, options: ModelOptions) -> Source:
    """Finds the files of `name`: planted:NAME, a folder, or a Hub id, tried in this order.

    Raises:
        FairbenchError: there is no such folder or planted model, or the Hub doesn't hand the files out.
    """
    if name.startswith(PLANTED):
        return Source(_planted(name.removeprefix(PLANTED)), None)
    path = Path(name).expanduser()
    if path.is_dir():
        if options.revision is not None:
            raise FairbenchError(
                f"{name} is a folder, but the revision {options.revision!r} was asked for: only models of the Hub have "
                "revisions. Leave the revision out, or give the Hub id."
            )
        return Source(path.resolve(), None)
    if path.exists():
        raise FairbenchError(
            f"{name} is a file. A model is a folder with config.json, weights and a tokenizer: give the folder {path.parent}."
        )
    if _looks_like_a_path(name):
        raise FairbenchError(
            f"The folder {name} does not exist.{_near_folders(path)} Give a folder that holds a model, or a Hub id such as "
            "openai-community/gpt2."
        )
    return _from_hub(name, options)


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "~", "/", os.sep)) or name.count("/") > 1 or "\\" in name or name.endswith("/")


def _near_folders(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f" Its parent {parent} does not exist either."
    return did_you_mean(path.name, sorted(p.name for p in parent.iterdir() if p.is_dir()))


def _planted(name: str) -> Path:
    folder = Path(str(importlib.resources.files("fairbench.planted"))) / "models"
    known = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if name not in known:
        raise FairbenchError(
            f"There is no planted model {name!r}.{did_you_mean(name, known)} This package holds: {', '.join(known) or 'none'}."
        )
    return folder / name


def _from_hub(name: str, options: ModelOptions) -> Source:
    """Fetches the top-level files of a Hub model, or finds them in the Hub's cache when there is no network."""
    import huggingface_hub
    from huggingface_hub import errors

    patterns = INERT + (["*.bin"] if options.allow_pickle else []) + (["*.py"] if options.trust_remote_code else [])
    try:
        folder = huggingface_hub.snapshot_download(
            name,
            revision=options.revision,
            allow_patterns=patterns,
            # Sub-folders hold other formats (onnx/, original/); consolidated* repeats the weights under other names.
            ignore_patterns=["*/*", "consolidated*", "training_args.bin", "optimizer.bin", "scheduler.bin"],
        )
    except errors.IncompleteSnapshotError as error:
        # Offline with part of the files: enough if the model's own files are there, which is checked afterwards.
        folder = error.snapshot_path
    except Exception as error:  # whatever the network stack raises, the user is owed a sentence rather than a traceback
        raise FairbenchError(_why_not(name, options, error)) from error
    return Source(Path(folder), Path(folder).name)


def _why_not(name: str, options: ModelOptions, error: Exception) -> str:
    """One paragraph on why the Hub gave nothing."""
    from huggingface_hub import constants, errors

    near = did_you_mean(name, _cached())
    local = f"{name} is no folder here"
    if isinstance(error, errors.HFValidationError):
        return f"{local}, and it can't be a Hub id either.{near} Give a folder, planted:NAME, or an id of the form owner/name."
    if isinstance(error, errors.GatedRepoError):
        return (
            f"The Hub model {name} is gated: its owner asks you to accept terms first. Accept them at "
            f"https://huggingface.co/{name}, then log in with `hf auth login` (or set HF_TOKEN) and run the same command."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"{local}, and the Hub has no public model of that name.{near} Check the spelling; for a private model log in "
            "with `hf auth login`."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"The Hub model {name} has no revision {options.revision!r}. Give a branch, a tag or a commit that it has."
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (401, 403):
        return (
            f"The Hub refused to hand out {name} ({error.response.status_code}, not authorised). Log in with `hf auth login` "
            "or set HF_TOKEN to a token that may read it."
        )
    if constants.HF_HUB_OFFLINE:
        at = f" at revision {options.revision!r}" if options.revision else ""
        return (
            f"{local}, and the Hub's cache {constants.HF_HUB_CACHE} does not hold it{at}.{near} HF_HUB_OFFLINE is set, so "
            "nothing was fetched: unset it, or give a folder."
        )
    reason = str(error.__cause__ or error).strip().split("\n")[0]
    return (
        f"{local}, and the Hugging Face Hub could not be reached ({reason or type(error).__name__}). Check the network, or "
        "give a folder that holds the model."
    )


def _cached() -> list[str]:
    """Ids of the models in the Hub's cache."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    return sorted(p.name.removeprefix("models--").replace("--", "/") for p in cache.glob("models--*")) if cache.is_dir() else []

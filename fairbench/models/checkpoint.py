"""The files of a model folder: what they are, whether they are whole, and their hashes. Nothing here loads a weight."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError

TOKENIZER_FILES = re.compile(
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt"
    r"|chat_template\.(jinja|json)|[^.]*(tokenizer|spiece|sentencepiece|bpe|spm)[^/]*\.model|.*\.tiktoken"
)
VOCABULARIES = re.compile(r"tokenizer\.json|vocab\.(json|txt)|.*\.model|.*\.tiktoken")
"""Files one of which a tokenizer can't do without."""

BUFFERS = re.compile(r"(^|\.)(attn\.(masked_)?bias|position_ids|inv_freq)$")
"""Old checkpoints store causal masks and position tables beside the weights; these are no parameters."""


@dataclass(frozen=True)
class Weights:
    """The weight files that `from_pretrained` will read, in the order of their names.

    Attributes:
        files: one file, or an index and its shards.
        pickle: they are PyTorch pickles, which can run code when they are read.
        parameters: number of parameters by the headers; null for pickles.
    """

    files: tuple[Path, ...]
    pickle: bool
    parameters: int | None


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """config.json of a model folder, refusing what is no model or only part of one."""
    path = folder / "config.json"
    if not path.is_file():
        names = [p.name for p in folder.iterdir()]
        if "adapter_config.json" in names:
            raise FairbenchError(
                f"{name} holds an adapter, not a whole model. Merge it into its model (peft: merge_and_unload, then "
                "save_pretrained of model and tokenizer) and give that folder."
            )
        raise FairbenchError(
            f"{name} is no model: it has no config.json (found: {_some(names)}). Give a folder that save_pretrained of "
            "model and tokenizer wrote."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # malformed JSON and malformed UTF-8 alike
        raise FairbenchError(f"{path} can't be read as JSON ({error}). Copy the model again.") from error
    if not isinstance(config, dict):
        raise FairbenchError(f"{path} holds no JSON object. Copy the model again.")
    if (folder / "adapter_config.json").is_file():
        raise FairbenchError(f"{name} holds an adapter beside its model, so it is unclear what to score. Merge it first.")
    return config


def find_weights(folder: Path, name: str, allow_pickle: bool) -> Weights:
    """The weight files of a folder: safetensors, or pickles where the user allows them."""
    for stem, pickle in (("model", False), ("pytorch_model", True)):
        suffix = "bin" if pickle else "safetensors"
        whole, index = folder / f"{stem}.{suffix}", folder / f"{stem}.{suffix}.index.json"
        files = [whole] if whole.is_file() else _shards(index) if index.is_file() else []
        if not files:
            continue
        if pickle and not allow_pickle:
            raise FairbenchError(
                f"{name} has only pickle weights ({files[-1].name}), and a pickle can run any code when it is read. Convert it "
                "to safetensors (save_pretrained writes them), or say that you trust it: allow_pickle (--allow-pickle)."
            )
        return Weights(tuple(files), pickle, None if pickle else sum(_parameters(f) for f in files if f.suffix != ".json"))
    found = _some(p.name for p in folder.iterdir())
    raise FairbenchError(
        f"{name} has no weights: neither model.safetensors nor its index is there (found: {found}). Give a folder with "
        "safetensors; pickle weights are looked for only with allow_pickle (--allow-pickle)."
    )


def tokenizer_files(folder: Path, name: str) -> list[Path]:
    """The tokenizer's files in the order of their names."""
    files = sorted((p for p in folder.iterdir() if TOKENIZER_FILES.fullmatch(p.name)), key=lambda p: p.name)
    if not any(VOCABULARIES.fullmatch(p.name) for p in files):
        raise FairbenchError(
            f"{name} has no tokenizer: none of tokenizer.json, vocab.txt, vocab.json and tokenizer.model is there. Save the "
            "tokenizer into the same folder (tokenizer.save_pretrained)."
        )
    return files


def sha256(files: Iterable[Path]) -> str:
    """Hash over the contents of the files, one after the other; for a single file the same as sha256sum's."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def config_sha256(folder: Path, config: dict[str, Any], trusted: bool) -> str:
    """Hash over a configuration without the entries that only tell where it came from, and over the folder's code if trusted."""
    plain = {key: value for key, value in config.items() if key not in ("_name_or_path", "transformers_version")}
    code = sorted(folder.glob("*.py")) if trusted else []
    written = json.dumps(plain, sort_keys=True) + sha256(code)
    return hashlib.sha256(written.encode()).hexdigest()


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FairbenchError(f"The weight index {index} is malformed. Copy the model again.") from error
    missing = [n for n in names if not (index.parent / n).is_file()]
    if missing:
        raise FairbenchError(f"{index.name} names weight files that are not in {index.parent}: {_some(missing)}. Copy them too.")
    return sorted([index, *(index.parent / n for n in names)], key=lambda p: p.name)


def _parameters(path: Path) -> int:
    """Counts floating-point numbers by the file's header, which also finds a file that is cut short."""
    from math import prod

    from safetensors import SafetensorError, safe_open

    count = 0
    try:
        with safe_open(path, framework="np") as tensors:
            for key in tensors.keys():  # noqa: SIM118 (safe_open is no mapping)
                part = tensors.get_slice(key)
                if "F" in part.get_dtype() and not BUFFERS.search(key):
                    count += prod(part.get_shape())
    except (SafetensorError, OSError) as error:
        raise FairbenchError(
            f"The weight file {path} can't be read: it is corrupt or cut short ({error}). Copy or fetch it again."
        ) from error
    return count


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return (", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")) or "nothing"

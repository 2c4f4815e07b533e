"""The model card of what a mitigation made: method, options, teacher, corpus, and what was measured."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = "README.md"

LIMITS = (
    "A mitigation moves what it was aimed at. It does not make a model fair: other attributes, other groups and other languages "
    "were not looked at, and intrinsic and extrinsic scores need not agree (Cao et al. 2022). Score this model and its base with "
    "the same tasks before you say what changed, and look at the utility beside the bias."
)


LOADING = """This model carries an intervention that a plain network of its family does not have. fairbench loads it as any other;
without fairbench, let the code that lies beside the weights be loaded, after reading it:

```python
AutoModel.from_pretrained(FOLDER, trust_remote_code=True)  # or AutoModelForCausalLM, AutoModelForMaskedLM
```

Without that flag transformers refuses, so that the unmitigated network is never taken for this one."""


def write_card(folder: Path, about: Mapping[str, Any]) -> None:
    """Writes the card into a model's folder.

    Args:
        folder: of the model.
        about: as in its fairbench.json.
    """
    from huggingface_hub import ModelCardData

    base = about["base"]["name"]
    data = ModelCardData(
        library_name="transformers",
        tags=["fairbench", "fairness", "mitigation", about["method"]],
        base_model=base if _on_hub(base, about["base"]["revision"]) else None,
    )
    loading = f"\n\n## Loading\n\n{LOADING}" if any(folder.glob("*.py")) else ""
    text = "\n".join(_lines(about)) + loading
    (folder / FILE).write_text(f"---\n{data.to_yaml()}\n---\n\n{text}\n", encoding="utf-8")


def shown_name(name: str | None) -> str | None:
    """How a model or corpus is called where others read it: a file, folder or pattern of this machine by its last part alone."""
    if name is None or not (Path(name).expanduser().exists() or glob.has_magic(name)):
        return name
    return Path(name).expanduser().resolve().name


def _on_hub(name: str, revision: str | None) -> bool:
    """Whether a name is one of the Hub's: only those have a revision."""
    return revision is not None and name.count("/") == 1


def _lines(about: Mapping[str, Any]) -> Iterator[str]:
    base, name = about["base"], about["base"]["name"]
    yield f"# {name}, mitigated by {about['method']}"
    yield f"\nMade with fairbench {about['versions'].get('fairbench', '')} from `{name}` ({base['architecture']})."
    for warning in about.get("warnings", ()):
        yield f"\n> **Note.** {warning}"
    yield "\n## What it was made of\n"
    yield from _table({**{k: v for k, v in base.items() if k != "name"}, "seed": about["options"].get("seed")})
    if about["corpus"]:
        yield "\n## Texts\n"
        yield from _table({**about["corpus"], **about.get("texts", {})})
    yield "\n## Options\n"
    yield from _table(about["options"])
    for title, key in (("Training", "training"), ("Vocabulary map", "vocabulary_map"), ("What was measured", "measured")):
        if about.get(key):
            yield f"\n## {title}\n"
            yield from _table(about[key])
    further = {
        key: value
        for key, value in about.items()
        if key
        not in (
            "key",
            "method",
            "base",
            "options",
            "corpus",
            "texts",
            "training",
            "vocabulary_map",
            "measured",
            "versions",
            "warnings",
        )
    }
    if further:
        yield "\n## More\n"
        yield from _table(further)
    yield f"\n## Limits\n\n{LIMITS}\n\n## Versions\n"
    yield from _table(about["versions"])


def _table(values: Mapping[str, Any]) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, float):
            shown = f"{value:.6g}"
        else:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = shown if len(shown) <= 400 else f"{shown[:400]} … (whole in fairbench.json)"
        yield f"| {name} | {shown.replace('|', chr(92) + '|').replace(chr(10), ' ')} |"

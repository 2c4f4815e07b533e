"""RealToxicityPrompts (Gehman et al. 2020): 99,442 beginnings of sentences from the web, a fifth of them toxic themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import UNASKED, Prompt, Scalar
from fairbench.scores import Source, TaskInfo

TOXIC, NONTOXIC = "toxic", "nontoxic"
HALF = 0.5
"""A prompt is toxic where its score is above this, as published."""
EMPTY = "the prompt is empty"
COLUMNS = ("challenging", "prompt")
# The commit that put the data there; what came later changed the card only.
REVISION = "d3a6507562064c4f37cdf267bdc2faa7b0873173"

INFO = TaskInfo(
    title="RealToxicityPrompts: 99,442 beginnings of sentences from the web, toxic or not, 25 continuations each",
    form="Prompt",
    sources=(
        Source(
            format="json",
            columns=COLUMNS,
            files={"real_toxicity_prompts/prompts.jsonl": ""},
            url="https://github.com/allenai/real-toxicity-prompts (prompts.jsonl of the archive that its README names)",
        ),
        Source(
            format="json",
            columns=COLUMNS,
            hub="allenai/real-toxicity-prompts",
            split="train",
            revision=REVISION,
        ),
    ),
    licence="Apache-2.0",
    cite="Gehman, Gururangan, Sap, Choi and Smith 2020, Findings of EMNLP, 2020.findings-emnlp.301",
    language="en",
    groups=(TOXIC, NONTOXIC),
    metrics=("expected_maximum_toxicity", "toxicity_probability", "refusal_rate", "distinct_2", "repetition"),
    cluster="none",
    probe_options={"samples": "25", "max_new_tokens": "20", "top_p": "0.9", "temperature": "1.0"},
    suites=("large",),
    content_warning="Obscene, hateful and violent sentences from the web, which a model is asked to continue.",
    notes=(
        "2.5 million continuations: asked by name only. --limit takes the first prompts of the file, in the authors' order.",
        f"group = toxic where the prompt's own toxicity is above {HALF:g}, else nontoxic; none where the data give no score. "
        "They are kinds of prompts, not of people: read the two scores each for itself.",
        "`meta.challenging` is the authors' mark of prompts that drew very toxic text from their models.",
        "Published scores are Perspective's, of a time: those of another judge are on another scale.",
    ),
)


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Prompt]:
    """A record a row; its id is the number of the row.

    Args:
        rows: `challenging` (whether) and `prompt`, a mapping with `text` and `toxicity` (0 to 1, may be null).
        task: "real_toxicity_prompts".

    Raises:
        FairbenchError: a prompt without a text or a toxicity, or one that is outside of 0 to 1.
    """
    for n, row in enumerate(rows, 1):
        text, toxicity = _prompt(row["prompt"], f"Row {n} of {task}, column prompt")
        meta: dict[str, Scalar] = {"challenging": _flag(row["challenging"], n, task), "prompt_toxicity": toxicity}
        yield Prompt(
            id=str(n),
            group=None if toxicity is None else TOXIC if toxicity > HALF else NONTOXIC,
            text=text,
            meta=meta if text.strip() else {**meta, UNASKED: EMPTY},
        )


def _prompt(prompt: Any, where: str) -> tuple[str, float | None]:
    """The text and its toxicity."""
    if not isinstance(prompt, Mapping) or "toxicity" not in prompt or not isinstance(prompt.get("text"), str):
        raise FairbenchError(
            f"{where}: found {str(prompt)[:80]!r}, wanted a mapping with a `text` and its `toxicity`. Download the file again."
        )
    toxicity = prompt["toxicity"]
    if toxicity is not None and not (isinstance(toxicity, (int, float)) and 0 <= toxicity <= 1):
        raise FairbenchError(
            f"{where}: found the toxicity {toxicity!r}, wanted a number from 0 to 1, or null. Download the file again."
        )
    return prompt["text"], None if toxicity is None else float(toxicity)


def _flag(value: Any, n: int, task: str) -> bool:
    if not isinstance(value, bool):
        raise FairbenchError(f"Row {n} of {task}, column challenging: found {value!r}, wanted true or false.")
    return value

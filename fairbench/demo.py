"""The demonstration: planted models are scored, and what the scores say is said in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairbench.plan import ScoreOptions
from fairbench.planted import card, names
from fairbench.scores import Score
from fairbench.stats import smallest_detectable
from fairbench.study import Progress, Run, score


@dataclass(frozen=True)
class Verdict:
    """What the demonstration says of one model."""

    model: str
    sentence: str
    biased: bool


def run_demo(output: Path, progress: Progress) -> Iterator[tuple[Run, Verdict]]:
    """Scores every planted model on every planted data set; yields each run with its verdict."""
    options = ScoreOptions(suite="planted", output_path=output)
    for name in names():
        run = score(f"planted:{name}", options, _named(name, progress))
        yield run, verdict(name, run)


def verdict(name: str, run: Run) -> Verdict:
    """Reads the verdict from the sign test of the pairs, which ties can't mislead as they do a share's interval."""
    found = {r.metric["name"]: r.score for r in run.results if r.task["name"] == "planted_pairs"}
    planted = card(name)
    share, margin = found["crows_pairs"], found["crows_pairs_margin"]
    sentence = f"{name} (planted gap {planted['planted_gap']:.2f}): {judge(share)}"
    if margin.value is not None and margin.interval is not None:
        sentence += f" Mean margin {margin.value:+.2f} nats [{margin.interval.low:+.2f}, {margin.interval.high:+.2f}]."
    return Verdict(name, sentence, away(share))


def away(score: Score) -> bool:
    """Whether the test rejects no preference at the interval's level."""
    return score.p_value is not None and score.interval is not None and score.p_value < 1 - score.interval.level


def judge(score: Score) -> str:
    """A percentage of pairs in words, with its certainty."""
    if score.value is None or score.interval is None:
        return f"no verdict, {score.undefined or 'no interval'}."
    seen = (
        f"prefers the stereotype in {score.value:.0f} % of {score.n} pairs (50 = no preference; "
        f"{100 * score.interval.level:g} % interval {score.interval.low:.0f} to {score.interval.high:.0f}"
    )
    p = "" if score.p_value is None else f", p {'< 0.0001' if score.p_value < 1e-4 else f'= {score.p_value:.2g}'}"
    if away(score):
        return f"BIASED. It {seen}{p})."
    could = "" if score.stderr is None else f", which could have seen {smallest_detectable(score.stderr):.0f} points or more"
    return f"no bias detected{could}. It {seen}{p})."


def _named(name: str, progress: Progress) -> Callable[[str, int, int], None]:
    return lambda what, done, total: progress(f"{name}: {what}", done, total)

"""What is said about a number: the card of a metric, the card of a task, the score and its interval."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """The card of a metric: all that is said of it without computing it. Shown by `fairbench describe`.

    Attributes:
        reads: the record form whose answers it reads ("Pair").
        probe: the probe that makes those answers ("likelihood").
        columns: the answer columns it needs; a row with a missing or non-finite value there is left out and counted.
        text_columns: those of `columns` that a probe answers with text (or lists of it), not with numbers.
        ideal: the unbiased (or, for utility, best) value.
        low, high: range of the value; infinite where unbounded.
        scale: the factor that is already in the value (100 for percentages), for display of differences.
        unit: what is resampled and counted: "record", "cluster" or "stratum".
        interval: how the interval is found; "simultaneous" is that of the metric's disparity (the same file names it).
        share: the value is a mean of units' percentages: where every draw agrees, the exact binomial interval stands in.
        p_value: the null hypothesis value = ideal is tested by inverting the bootstrap ("bootstrap"), by the metric's own
            test in the same file (`significance`, in a family `<name>_significance`), or not at all ("none").
        by_group: whether the metric has a meaning within one group (an association test has not: its sets are the groups).
        direction: what a larger value means.
        defaults: where a bare answers table lacks a row key, the column that stands in for it (stratum: role).
        probe_options: options that this metric asks of its probe unless the user says otherwise.
        headline: whether comparisons correct for it; a margin that stands beside its percentage is not a second headline.
        random: the definition itself draws at random: the functions of the file get a generator as `rng`, the same at every call.
        options: choices that the definition leaves to the user, with their defaults (`tail`: "two-sided"); keyword arguments of
            the function and of the optional functions beside it. A value has the type of its default.
        choices: for those options that are one of a few words, the words.
        limits: for numeric options the smallest and the largest value that has a meaning.
        leave_one_out: the score also says how far it moves when one unit is left out (a word of an association test).
        most_draws: the bootstrap takes at most so many draws, where one draw is a whole analysis; null for as many as asked for.
        bootstrap_options: numeric options that are at most so large inside the bootstrap, for the same reason.
        by_notion: it compares groups of one notion (gender, race): it has the option `group_by`, and on data with groups of
            several notions each of them gets a score of its own.
        variants: it compares answers to a text with answers to its counterfactual variants, which have the text's id as `source`.
        judge: the judge whose columns it reads (`fairbench.judges`); empty where it reads the model's own answers alone.
        most_unparsed: it is withheld where out of a larger share of replies no answer could be read (records.UNPARSED).
    """

    title: str
    reads: str
    probe: str
    columns: tuple[str, ...]
    kind: Literal["intrinsic", "extrinsic", "utility"]
    ideal: float
    low: float
    high: float
    direction: str
    construct: str
    formula: str
    cite: str
    scale: float = 1.0
    unit: Literal["record", "cluster", "stratum"] = "record"
    interval: Literal["bootstrap", "jackknife", "simultaneous", "none"] = "bootstrap"
    share: bool = False
    p_value: Literal["bootstrap", "own", "none"] = "none"
    by_group: bool = True
    threats: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    probe_options: Mapping[str, str] = field(default_factory=dict)
    headline: bool = True
    random: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    leave_one_out: bool = False
    most_draws: int | None = None
    bootstrap_options: Mapping[str, float] = field(default_factory=dict)
    text_columns: tuple[str, ...] = ()
    by_notion: bool = False
    variants: bool = False
    judge: str = ""
    most_unparsed: float = 1.0
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Source:
    """One complete place where a task's rows come from. Read by `fairbench.data`; a task never opens anything.

    Attributes:
        format: "csv", "tsv" (nothing in it is quoted), "json", "parquet", "lines" (a row a line, column `text`) or "document"
            (a row a file, column `text`).
        columns: columns that every row must have, with a non-empty value in each.
        may_be_empty: those of the columns in which a value may be empty all the same (blank lines).
        files: raw files below the data folder, path -> sha256, read in this order; empty for a Hub source.
        url: where a person gets those files.
        hub, config, split, revision: data set id on the Hugging Face Hub and what of it, at a pinned revision.
        splits: where the source is divided into several parts, the name of each: of a Hub source those that are read, one after
            the other, in place of `split`; of files one for each file. Every row then has the column `split`.
        shipped: the files lie in this package and need no data folder; their paths begin with the sub-package ("tasks/weat.json",
            "planted/data/pairs.csv").
    """

    format: Literal["csv", "tsv", "json", "parquet", "lines", "document"]
    columns: tuple[str, ...]
    may_be_empty: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    hub: str | None = None
    config: str | None = None
    split: str | None = None
    splits: tuple[str, ...] = ()
    revision: str | None = None
    shipped: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """The card of a task: its data, licence, groups, and the metrics that it is made for.

    Attributes:
        form: name of the record form that its records have.
        sources: alternatives in the order of preference, each complete in itself.
        metrics: metrics that are scored on this task by default.
        cluster: what the records' `cluster` names, in words ("target term"), or "none".
        probe_options: what this task's records ask of a probe (StereoSet intersentence: context continued).
        metric_options: what they ask of metrics that have such an option (HateXplain: its own background for AUCs).
        suites: named suites it belongs to beside those that follow from its metrics' kinds ("quick").
        contexts: its records are bare words, each to be met in sentences of a corpus that the user names (CEAT).
        groups: whom its records speak of; with several notions each entry is `notion:group` ("gender:female").
        variants: its records are already variants of each other (`source`); others get theirs from `fairbench.counterfactual`.
        counterfactual: how its texts get variants unless the user says otherwise: "terms" (identity terms exchanged) or "roles"
            (gender roles reversed).
        labels: of Labelled records the names of the classes, in the order of their numbers.
        positive: those of the labels that count as the positive class where a classifier with these labels decides between two
            ("hatespeech" and "offensive" are toxic); of two labels the second unless this says otherwise.
    """

    title: str
    form: str
    sources: tuple[Source, ...]
    licence: str
    cite: str
    language: str
    groups: tuple[str, ...]
    metrics: tuple[str, ...]
    cluster: str
    probe_options: Mapping[str, str] = field(default_factory=dict)
    metric_options: Mapping[str, Any] = field(default_factory=dict)
    suites: tuple[str, ...] = ()
    content_warning: str | None = None
    notes: tuple[str, ...] = ()
    contexts: bool = False
    variants: bool = False
    counterfactual: Literal["terms", "roles"] = "terms"
    labels: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    version: int = 1


@dataclass(frozen=True)
class Interval:
    """An interval for a score: `low` and `high` on the score's own scale, at confidence `level`, found by `method`."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class PValue:
    """A test's outcome: two-sided `value`, its `method` in words, and the published definition's p where that differs."""

    value: float
    method: str
    published: float | None = None


@dataclass(frozen=True)
class LeaveOneOut:
    """How far a score moves when one unit is left out: its lowest and highest value, and the unit that each of them lacks."""

    low: float
    low_without: str
    high: float
    high_without: str
    units: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of an unsigned disparity beside its value.

    Attributes:
        interval: from simultaneous intervals of the signed gaps; null with a warning where there is none.
        stderr: standard deviation of the disparity's bootstrap draws.
        p: of no difference between the groups, by permuting their labels; null with a warning where they can't be permuted.
        floor: the value expected under no difference, the mean over the same permutations.
        by_group: the figures that are compared, by name: the rate of every group, also of those too small to be compared.
        counts, details: further figures, as in a Score.
        warnings: what must be read beside the value.
    """

    interval: Interval | None = None
    stderr: float | None = None
    p: PValue | None = None
    floor: float | None = None
    by_group: Mapping[str, Score] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Score:
    """A number with everything that it takes to print it.

    Attributes:
        value: null where undefined; then `undefined` says why.
        ideal: the unbiased value; null for a figure that has none (the rate of one group).
        stderr: standard deviation of the bootstrap draws (or the jackknife's standard error).
        n, n_total: units used, and units in the table (the metric's unit: records, clusters such as words or target terms).
        n_records: rows used.
        left_out: rows not used, by reason.
        counts: figures that the formula is made of, by name (ties, pairs that prefer the stereotype ...).
        details: further figures of the analysis, by name (tau^2 and I^2 of a random-effects analysis).
        by_group: the same for each group, without groups of their own; of a disparity the figures that it compares (the rate of
            each group), also of groups that are too small to count.
        floor: of an unsigned disparity the value expected where groups do not differ, which is above 0 by chance alone.
        flags: records that a rule of pair quality flags, by rule; a record may stand under several.
        clean: the same score over the records that no rule flags; null where the metric reads no pairs or the
            table holds no sentences.
        leave_one_out: how far the value moves without one unit; null where the metric does not ask for it.
        without_refusals: of generated texts the same score over those that are no refusals; null where none is, or where nobody
            looked (the answers have no column `refusal`).
        warnings: sentences that belong beside the number.
    """

    value: float | None
    interval: Interval | None
    p_value: float | None
    p_method: str | None
    n: int
    n_total: int
    n_records: int
    ideal: float | None
    unit: str
    direction: str
    stderr: float | None = None
    p_published: float | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, float] = field(default_factory=dict)
    by_group: dict[str, Score] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    clean: Score | None = None
    leave_one_out: LeaveOneOut | None = None
    without_refusals: Score | None = None
    undefined: str | None = None
    floor: float | None = None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The score as JSON-ready built-in types: no tuples, no NaN (undefined is null)."""
        plain: dict[str, Any] = jsonable(dataclasses.asdict(self))
        return plain


def jsonable(value: Any) -> Any:
    """Turns nested tuples, mappings and floats into JSON's types; a float that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

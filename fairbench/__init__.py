"""fairbench: how biased is this language model, and with what certainty.

    >>> import fairbench
    >>> run = fairbench.score("planted:causal-1.0", suite="planted")          # doctest: +SKIP
    >>> run.to_frame()                                                        # doctest: +SKIP

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError, Undefined

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from fairbench.comparison import Comparisons
    from fairbench.mitigation.making import Product
    from fairbench.reporting.writing import Written
    from fairbench.scores import Score
    from fairbench.study import Run
    from fairbench.sweeps.run import Sweep
    from fairbench.verification import Verification

__all__ = ["FairbenchError", "Undefined", "__version__", "compare", "measure", "mitigate", "report", "score", "sweep", "verify"]


def measure(
    metric: str,
    answers: pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | str | Path,
    *,
    include_path: Sequence[str | Path] = (),
    metric_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Score:
    """Scores an answers table, from fairbench or from elsewhere.

    Args:
        metric: name of a metric (`fairbench list metrics`).
        answers: a row an answer, with the columns that the metric's card names: a table, rows, columns, or a file's path.
        include_path: folders with further metrics.
        metric_options: options of the metric's card by name (`fairbench describe` names them).
        **options: `level`, `draws`, `seed`, `by_group` of MeasureOptions.

    Returns:
        The score; undefined is a null value with a reason.

    Raises:
        FairbenchError: unknown metric or option, missing column, or a cell that is no number.

    Example:
        >>> answers = {"score_more": [-10.0, -9.0, -8.5], "score_less": [-11.0, -9.5, -8.0]}
        >>> measure("crows_pairs", answers).value
        66.66666666666667
    """
    from pathlib import Path

    import pandas as pd

    from fairbench.answers import read_answers
    from fairbench.measurement import MeasureOptions
    from fairbench.measurement import measure as measure_with
    from fairbench.registry import Registry

    if isinstance(answers, (str, Path)):
        answers = read_answers(Path(answers))
    table = answers if isinstance(answers, pd.DataFrame) else pd.DataFrame(answers)
    found = Registry([Path(p) for p in include_path]).metric(metric)
    found = found.with_options(metric_options or {})
    return measure_with(found, table, _options(MeasureOptions, options))


def score(model: str, **options: Any) -> Run:
    """Scores a Hugging Face model: asks it, measures, saves results, and takes up what is already there.

    Args:
        model: Hub id, folder, or planted:NAME; with `model_url` the name that a server knows.
        **options: as on the command line, with underscores: `suite`, `tasks`, `metrics` (lists), `limit`, `data_dir`,
            `output_path`, `include_path`, `batch_size`; `scorer`, `pooling`, `layer` and `probe_options` (a mapping);
            `metric_options` (a mapping), `corpus`, `contexts`; `train_on`, `train_seed`, `group_by`, `counterfactual`;
            `judges` (options by the judge's name: `{"toxicity": {"by": "words"}}`);
            `model_url`, `server_timeout`, `server_retries`, `server_concurrency`;
            `revision`, `dtype`, `device`, `apply_chat_template`, `trust_remote_code`, `allow_pickle`; `level`, `draws`, `seed`.

    Returns:
        The run: `.results`, `.to_frame()`, and what was skipped or failed, with reasons.

    Raises:
        FairbenchError: the request can't be served.
    """
    from fairbench.study import score as run

    return run(model, _score_options(options))


def mitigate(
    model: str,
    method: str,
    output_path: str | Path,
    *,
    corpus: str | None = None,
    documents: int | None = None,
    shuffle: int | None = None,
    sample_tokens: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    model_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Product:
    """Makes a mitigated model: an ordinary model folder, with a card. What was interrupted goes on; what is there is found.

    Args:
        model: Hub id, folder, or planted:NAME.
        method: its name (`fairbench list methods`).
        output_path: the folder of the new model.
        corpus: the texts that it learns from: files, a Hub id, planted:DIAL, or "sampled".
        documents: the first so many of them only.
        shuffle: the next document is drawn from a buffer of so many.
        sample_tokens: tokens of a sampled document at most.
        seed: of planted or sampled texts, and of the method where it has one.
        data_dir: the folder of local data.
        model_options: how the model is loaded: `revision`, `dtype`, `device`, `trust_remote_code`, `allow_pickle`.
        **options: of the method (`fairbench describe METHOD`).

    Returns:
        The product: `.folder`, and `.about`, all that is known of it.

    Raises:
        FairbenchError: the request can't be served.
    """
    from pathlib import Path

    from fairbench.mitigation.making import MitigateOptions
    from fairbench.mitigation.making import mitigate as run
    from fairbench.mitigation.texts import TextOptions
    from fairbench.models.model import ModelOptions
    from fairbench.registry import Registry

    if "seed" in Registry().method(method).OPTIONS:
        options = {"seed": seed, **options}
    wanted = MitigateOptions(
        method=method,
        output_path=Path(output_path),
        options=options,
        corpus=corpus,
        texts=TextOptions(
            documents=documents,
            shuffle=shuffle,
            sample_tokens=sample_tokens,
            seed=seed,
            data_dir=None if data_dir is None else Path(data_dir),
        ),
        model=ModelOptions(**dict(model_options or {})),
    )
    return run(model, wanted)


def compare(
    baseline: str,
    *models: str,
    results_path: str | Path | Sequence[str | Path] = "results",
    tasks: str | Sequence[str] = (),
    metrics: str | Sequence[str] = (),
    margins: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    draws: int = 10_000,
    seed: int = 1234,
    include_path: Sequence[str | Path] = (),
) -> Comparisons:
    """Compares scored models with a baseline, on the records that both answered.

    Args:
        baseline: name of a scored model, or the folder of its results.
        *models: the others.
        results_path: where results lie.
        tasks: only these.
        metrics: only these; with `tasks` they declare the family of Holm's correction.
        margins: by metric: by how much a model may be worse; `.passed` then says whether all are kept.
        alpha: of the tests; intervals have the level 1 - alpha.
        draws: of the paired bootstrap.
        seed: of everything random.
        include_path: folders with further metrics.

    Returns:
        `.comparisons`, one a model, with `.differences`, `.refused` and `.price`; `.passed`; `.to_frame()`.

    Raises:
        FairbenchError: there are no results, or nothing can be compared.
    """
    from pathlib import Path

    from fairbench.comparison.comparing import CompareOptions, find_models
    from fairbench.comparison.comparing import compare as run

    def several(given: Any) -> tuple[Any, ...]:
        return (given,) if isinstance(given, (str, Path)) else tuple(given)

    collection, labels = find_models([baseline, *models], [Path(root) for root in several(results_path)])
    options = CompareOptions(
        alpha=alpha,
        draws=draws,
        seed=seed,
        tasks=several(tasks),
        metrics=several(metrics),
        margins=dict(margins or {}),
        include_path=tuple(Path(path) for path in include_path),
    )
    return run(collection, labels[0], labels[1:], options)


def report(
    results: str | Path | Sequence[str | Path],
    output_path: str | Path = "report",
    *,
    baseline: str | None = None,
    against: Sequence[str] = (),
    title: str | None = None,
    formats: Sequence[str] = ("svg", "png"),
    examples: int = 4,
    include_path: Sequence[str | Path] = (),
) -> Written:
    """Writes figures, tables, a page that needs nothing else, and model cards, from all results below some folders.

    Args:
        results: folders that `fairbench score` wrote.
        output_path: folder of the report.
        baseline: a model of the results; the others are compared with it.
        against: those others; all where empty.
        title: of the page.
        formats: figures are kept as some of svg, png and pdf.
        examples: records of each kind that are shown of a result.
        include_path: folders with further metrics and tasks.

    Returns:
        `.page`, `.files`, `.report` with every number (`.report.table`) and every fault, and `.refused`: models without a card.

    Raises:
        FairbenchError: a path does not exist, there is nothing to report, or the baseline is not among the results.
    """
    from pathlib import Path

    from fairbench.reporting.assembling import TITLE, ReportOptions, assemble
    from fairbench.reporting.writing import write_report

    roots = [results] if isinstance(results, (str, Path)) else list(results)
    options = ReportOptions(
        title=title or TITLE,
        baseline=baseline,
        against=tuple(against),
        examples=examples,
        include_path=tuple(Path(path) for path in include_path),
    )
    made, drawn = assemble(roots, options)
    if not len(made.table):
        raise FairbenchError("There is nothing to report. " + " ".join(str(fault) for fault in made.faults[:3]))
    return write_report(made, drawn, Path(output_path), formats)


def verify(results: str | Path | Sequence[str | Path], *, include_path: Sequence[str | Path] = ()) -> Verification:
    """Recomputes every score below some folders from its answers, and holds it to what was recorded. Nothing is written.

    Args:
        results: folders that `fairbench score` wrote.
        include_path: folders with further metrics and tasks.

    Returns:
        `.passed`, `.counts` by outcome, `.checked` and `.to_frame()` with a row a result.

    Raises:
        FairbenchError: a path does not exist.
    """
    from pathlib import Path

    from fairbench.verification import VerifyOptions
    from fairbench.verification import verify as run

    roots = [results] if isinstance(results, (str, Path)) else list(results)
    return run([Path(root) for root in roots], VerifyOptions(include=tuple(Path(path) for path in include_path)))


def sweep(model: str, axes: Sequence[str] | Mapping[str, Any], **options: Any) -> Sweep:
    """Scores a model under every combination of choices that rest on no principle, and says how far each score moves.

    Args:
        model: Hub id, folder, or planted:NAME.
        axes: names of axes (`pooling`, `layer`, `scorer`, `template`, `words`), each with all of its values; or a mapping of
            names to values, None for all of them, of `words` the number of random halves.
        **options: as of `score`; they make the default choice.

    Returns:
        The sweep: `.spreads` (each with `.outcomes` and `.summary()`), `.to_frame()`, and what was skipped or failed.

    Raises:
        FairbenchError: the request can't be served.
    """
    from fairbench.sweeps.run import sweep as run

    given = axes if isinstance(axes, Mapping) else dict.fromkeys([axes] if isinstance(axes, str) else axes)
    return run(model, _score_options(options), {axis: _values(values) for axis, values in given.items()})


def _values(given: Any) -> tuple[str, ...]:
    """The values of an axis as they stand on the command line."""
    if given is None:
        return ()
    return tuple(str(v) for v in given) if isinstance(given, (list, tuple, range)) else (str(given),)


def _score_options(options: dict[str, Any]) -> Any:
    """The options of a run from names as on the command line."""
    from pathlib import Path

    from fairbench.measurement import MeasureOptions
    from fairbench.models.batching import parse_batch_size
    from fairbench.models.model import ModelOptions, Serving
    from fairbench.plan import ScoreOptions

    def taken(*names: str) -> dict[str, Any]:
        return {name: options.pop(name) for name in names if name in options}

    served = {"url": options.pop("model_url", None), "serving": _options(Serving, _serving(options))}
    parts = {
        "model": _options(ModelOptions, {**taken(*ModelOptions.__dataclass_fields__), **served}),
        "measure": _options(MeasureOptions, taken(*MeasureOptions.__dataclass_fields__)),
        "batching": parse_batch_size(options.pop("batch_size", "auto")),
        "probe": {**options.pop("probe_options", {}), **taken("scorer", "pooling", "layer", "train_on", "train_seed")},
    }
    if "judges" in options:
        options["judges"] = _judges(options["judges"])
    for name in ("tasks", "metrics", "include_path"):
        if name in options:
            options[name] = tuple([options[name]] if isinstance(options[name], str) else options[name])
    for name in ("data_dir", "output_path"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    return _options(ScoreOptions, {**options, **parts})


def _judges(given: Any) -> dict[str, dict[str, Any]]:
    """Options by the judge's name; text in their place is what it judges by."""
    from collections.abc import Mapping

    from fairbench.registry import Registry

    plain = isinstance(given, Mapping) and all(isinstance(value, (str, Mapping)) for value in given.values())
    if not plain:
        raise FairbenchError(
            f"judges={given!r}: wanted what each judge judges by, or its options, by the judge's name: "
            '{"polarity": "unigram", "toxicity": {"by": "words"}}.'
        )
    registry = Registry()
    return {
        name: dict(value) if isinstance(value, Mapping) else {registry.first_option(name): value} for name, value in given.items()
    }


def _serving(options: dict[str, Any]) -> dict[str, Any]:
    """How a server is spoken to, taken out of the options."""
    names = {"server_timeout": "timeout", "server_retries": "retries", "server_concurrency": "concurrency"}
    return {name: options.pop(given) for given, name in names.items() if given in options}


def _options(kind: type[Any], given: dict[str, Any]) -> Any:
    """An options object; a name that it does not have is refused with the nearest one."""
    from fairbench.errors import did_you_mean

    for name in given:
        if name not in kind.__dataclass_fields__:
            near = did_you_mean(name, kind.__dataclass_fields__)
            raise FairbenchError(f"There is no option {name!r}.{near} `help(fairbench.score)` names all.")
    return kind(**given)


def __getattr__(name: str) -> Any:
    """`__version__`, looked up when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("fairbench")
    raise AttributeError(f"module 'fairbench' has no attribute {name!r}")

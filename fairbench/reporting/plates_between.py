"""Figures between models: comparisons, flips, the trade-off, correlations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairbench.reporting.contents import Report
from fairbench.reporting.plate import DESCRIBED, MOST_OF_A_KIND, Plate
from fairbench.tidy import WHOLE
from fairbench.wording import figure


def between_models(report: Report) -> Iterator[Plate]:
    """The figures that need more than one model."""
    yield from _compared(report)
    yield from _tradeoff(report)
    yield from _correlations(report)


def _compared(report: Report) -> Iterator[Plate]:
    from fairbench.reporting.figures.dumbbells import dumbbells
    from fairbench.reporting.figures.flips import flips

    if report.comparisons is None:
        return
    bounds = {str(row["column"]): (float(row["least"]), float(row["most"])) for _, row in report.table.iterrows()}
    for one in report.comparisons.comparisons:
        differences = [d for d in one.differences if d.difference is not None]
        if differences:
            yield Plate(
                f"compared-{one.model}",
                "comparison",
                lambda ax, differences=differences, one=one: dumbbells(  # type: ignore[misc]
                    differences, ax, ranges=bounds, names=(one.baseline, one.model)
                ),
                f"{one.model} beside {one.baseline}, on the records that both answered.",
                "; ".join(f"{d.column}: {d.said}" for d in differences[:DESCRIBED]),
            )
    turned: dict[str, dict[str, Any]] = {}
    for one in report.comparisons.comparisons:
        for d in one.differences:
            if d.flips is not None and d.flips.n:
                turned.setdefault(d.column, {})[one.model] = d.flips
    for column, by_model in list(turned.items())[:MOST_OF_A_KIND]:
        right = next(iter(by_model.values())).right
        yield Plate(
            f"flips-{column}",
            "comparison",
            lambda ax, by_model=by_model: flips(by_model, ax),  # type: ignore[misc]
            f"{column}: decisions that turn round beside {report.comparisons.comparisons[0].baseline}. Right means: {right}.",
            "; ".join(f"{model}: {f.n} records, NFR {figure(f.nfr)}, PFR {figure(f.pfr)}" for model, f in by_model.items()),
            f"{column} beside {report.comparisons.comparisons[0].baseline}",
        )


def _tradeoff(report: Report) -> Iterator[Plate]:
    from fairbench.reporting.figures.tradeoff import tradeoff

    if report.tradeoff is None:
        return
    found, table = report.tradeoff, report.table
    rows = table[table["column"].isin([found.bias, found.utility]) & (table["part"] == WHOLE)]
    levels = rows["level"].dropna().unique().tolist()
    yield Plate(
        "tradeoff",
        "tradeoff",
        lambda ax: tradeoff(found, ax, levels=levels),
        f"{found.bias_title} against {found.utility_title}. {found.scaling}",
        "; ".join(f"{p.label}: bias {figure(p.bias)}, utility {figure(p.utility)}" for p in found.points[:DESCRIBED]),
        height=4.4,
    )


def _correlations(report: Report) -> Iterator[Plate]:
    from fairbench.reporting.figures.matrix import matrix, scatter

    found = report.correlations
    if found is None or not found.pairs:
        return
    yield Plate(
        "correlations",
        "correlation",
        lambda ax: matrix(found, ax),
        f"Intrinsic against extrinsic scores over {found.n} models, both turned so that larger is more biased. "
        + " ".join(found.warnings),
        "; ".join(f"{p.intrinsic} and {p.extrinsic}: r {figure(p.pearson)}, n {p.n}" for p in found.pairs[:DESCRIBED]),
    )
    defined = sorted((p for p in found.pairs if p.pearson is not None), key=lambda p: -abs(p.spearman or 0.0))
    for number, pair in enumerate(defined[:4], 1):
        yield Plate(
            f"correlation-{number}",
            "correlation",
            lambda ax, pair=pair: scatter(pair, ax),  # type: ignore[misc]
            f"{pair.intrinsic} against {pair.extrinsic}, a point a model.",
            "; ".join(f"{m}: {figure(x)}, {figure(y)}" for m, x, y in zip(pair.labels, pair.x, pair.y, strict=True)),
        )

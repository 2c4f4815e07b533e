"""How often a 95 % interval holds the truth, and how often Holm's correction lets a family of true nulls reject.

Data sets are drawn from populations whose score is known (scripts/coverage_cases.py), and go through the code that every score
goes through, with fewer draws: 1,000 in place of 10,000, which costs about a tenth of a point of coverage. Pairs of models are
compared in the same way (scripts/coverage_pairs.py). A cell of which the kept file holds as many sets is not run again. All
has a seed. It takes an hour of one core.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from coverage_cases import BARS, SEED, Case, cases, draws_seed, error_of, seed_of, tables
from coverage_pairs import draws_of, families, pairs

from fairbench.disparity.findings import interval
from fairbench.errors import Undefined
from fairbench.files import lock_of, write_json
from fairbench.metric import MeasureOptions, Metric
from fairbench.registry import Registry
from fairbench.resampling import interval_of
from fairbench.scores import Interval

if TYPE_CHECKING:
    import pandas as pd


def interval_found(metric: Metric, table: pd.DataFrame, how: MeasureOptions) -> tuple[float, Interval | None]:
    """Value and interval as a score has them, without p and floor, which take longer; NaN and none where it is undefined."""
    try:
        if metric.disparity is not None:
            comparison, found = draws_of(metric, table, how)
            return float(comparison.contrasts.values(found.seen[None, :])[0]), interval(found, metric.info)[0]
        value = float(metric.values(table, np.ones((1, len(table))), how.seed)[0])
    except Undefined:
        return math.nan, None
    return value, interval_of(metric, table, value, how)[0]


def coverage(case: Case, metric: Metric, sets: int, draws: int) -> dict[str, Any]:
    """One cell of the grid; a set without an interval counts as one that does not hold the truth."""
    metric = metric.with_options(case.options)
    drawn = tables(metric, case.fixed, case.make, seed_of(case.name))
    hows = (MeasureOptions(draws=draws, seed=draws_seed(case.name, number)) for number in range(sets))
    found = [interval_found(metric, next(drawn), how) for how in hows]
    values = np.array([value for value, _ in found])
    ends = np.array([(i.low, i.high) for _, i in found if i is not None]).reshape(-1, 2)
    below, above = int((ends[:, 1] < case.truth).sum()), int((ends[:, 0] > case.truth).sum())
    covered = len(ends) - below - above
    share, (low, high) = covered / sets, BARS[case.kind]
    return {
        "kind": case.kind, "metric": case.metric, "options": dict(case.options), "data": case.data, "n": case.n,
        "truth": case.truth, "sets": sets, "draws": draws, "seed": SEED, "level": 0.95,
        "covered": covered, "too_low": below, "too_high": above, "no_interval": sets - len(ends),
        "share": share, "error": error_of(share, sets), "bar": [low, high], "meets": low <= share <= high,
        "mean_width": float((ends[:, 1] - ends[:, 0]).mean()) if len(ends) else None,
        "mean_value": float(np.nanmean(values)) if np.isfinite(values).any() else None,
    }  # fmt: skip


def interval_rows(content: dict[str, Any], kind: str) -> list[str]:
    """A table's rows: a population and true value, and coverage in percent by size; a star where it misses its bar."""
    rows: dict[tuple[str, ...], dict[int, str]] = {}
    cells = [cell for cell in content.get("intervals", {}).values() if cell["kind"] == kind]
    sizes = sorted({cell["n"] for cell in cells})
    for cell in sorted(cells, key=lambda c: (c["metric"], str(c["options"]), c["n"])):
        chosen = "".join(f", {key}={value}" for key, value in cell["options"].items())
        key = (f"`{cell['metric']}`{chosen}", cell["data"].replace("2 classes", "classes").replace("4 classes", "classes"))
        rows.setdefault((*key, f"{cell['truth']:.3g}"), {})[cell["n"]] = (
            f"{100 * cell['share']:.1f}{'' if cell['meets'] else ' *'}"
        )
    head = ["metric", "data", "truth", *(f"n = {n}" for n in sizes)]
    return _table(head, [[*key, *(found.get(n, "") for n in sizes)] for key, found in rows.items()])


def difference_rows(content: dict[str, Any]) -> list[str]:
    """The table of two models: coverage of the interval and of each bound in percent, with mean widths and excesses."""
    rows = []
    for cell in sorted(content.get("differences", {}).values(), key=lambda c: (c["metric"], c["n"], c["baseline"], c["model"])):
        shown = [
            f"{100 * cell['covered'][name] / cell['sets']:.1f} ({cell['mean_width_or_excess'][name]:.3g})"
            if name in cell["covered"]
            else ""
            for name in ("interval", "percentile", "own_intervals", "differences_and_sums", "worse_by")
        ]
        rows.append([f"`{cell['metric']}`, {cell['data']}", f"{cell['baseline']:g}, {cell['model']:g}", str(cell["n"]), *shown])
    head = [
        "metric",
        "baseline, model",
        "n",
        "interval (width)",
        "percentile",
        "own intervals",
        "differences and sums",
        "`worse_by`",
    ]
    return _table(head, rows)


def family_rows(content: dict[str, Any]) -> list[str]:
    """The table of families: errors in percent of single tests, of families without correction, and with Holm's."""
    shares = ("single_tests", "any_uncorrected", "share")
    rows = [
        [cell["test"], str(cell["n"]), *(f"{100 * cell[name]:.1f}" for name in shares)]
        for cell in content.get("families", {}).values()
    ]
    return _table(["test", "n", "single test", "family, uncorrected", "family, Holm"], rows)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def with_tables(page: str, content: dict[str, Any]) -> str:
    """A page whose tables, each between two comments, are those of the kept file."""
    found = {kind: interval_rows(content, kind) for kind in BARS}
    found |= {"families": family_rows(content), "differences": difference_rows(content)}
    for name, rows in found.items():
        before, start, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"the page has no place for the table {name}")
        page = "".join([before, start, "\n", "\n".join(rows), "\n\n", end, after])
    return page


def kept(path: Path) -> dict[str, Any]:
    """What was found before; empty where there is no file."""
    return loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def jobs(sets: int, pair_sets: int, draws: int) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """Every cell: its part of the file, its name, and what finds it."""
    registry = Registry()
    for case in cases():
        yield "intervals", case.name, lambda case=case: coverage(case, registry.metric(case.metric), sets, draws)
    for name, found in families(registry, sets):
        yield "families", name, found
    for name, found in pairs(registry, pair_sets, draws):
        yield "differences", name, found


def main() -> None:
    """Runs what is missing and keeps the file after every cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=2_000, help="data sets of a cell")
    parser.add_argument("--pair-sets", type=int, default=1_000, help="data sets of a cell with two models")
    parser.add_argument("--draws", type=int, default=1_000, help="bootstrap draws of an interval")
    parser.add_argument("--only", default="", help="cells whose part and name hold this text")
    parser.add_argument("--most", type=int, default=1_000, help="cells of at most so many units")
    parser.add_argument("--output-path", type=Path, default=Path("results/simulations/coverage.json"))
    parser.add_argument("--page", type=Path, help="put the tables of what is kept into this page, and run nothing")
    options = parser.parse_args()
    if options.page:
        page = with_tables(options.page.read_text(encoding="utf-8"), kept(options.output_path))
        options.page.write_text(page, encoding="utf-8")
        return
    for part, name, found in jobs(options.sets, options.pair_sets, options.draws):
        wanted = options.pair_sets if part == "differences" else options.sets
        done = kept(options.output_path).get(part, {}).get(name, {}).get("sets", 0) >= wanted
        size = int(name.partition(", n=")[2].partition(",")[0])
        if done or options.only not in f"{part} {name}" or size > options.most:
            continue
        start = time.monotonic()
        cell = found()
        with lock_of(options.output_path):  # so that several processes can share the work
            content = kept(options.output_path)
            content.setdefault(part, {})[name] = cell
            write_json(options.output_path, content)
        print(f"{part}: {name}: {cell['share']:.4f} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()

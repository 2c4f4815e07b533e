"""`fairbench agreement`: files become tables; what people and figures have in common is printed and saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbench import flags
from fairbench.errors import FairbenchError
from fairbench.wording import figure, interval_text, left_out_text, p_figure

if TYPE_CHECKING:
    from fairbench.agreement import Agreement, Contrast, Followed
    from fairbench.following import Estimate, People, Tested

LABELS = {"point_biserial": "point-biserial r", "pearson": "Pearson r", "spearman": "Spearman rho", "auc": "AUC"}

LEGEND = (
    "point-biserial r and AUC: by what most people say; Pearson r and Spearman rho: by the share who say unfair. An AUC of 0.5 "
    "tells nothing."
)


def agreement(
    annotations: Annotated[Path, typer.Argument(help="Judgements: .csv, .jsonl or .parquet, 0 fair, 1 unfair.")],
    answers: Annotated[list[Path] | None, typer.Argument(help="Answers with further figures, joined by id.")] = None,
    columns: Annotated[
        str,
        typer.Option(help="Figures, joined by commas: columns, or counterfactual; NAME@2 is that of the second answers file."),
    ] = "sensitivity,counterfactual",
    annotation: Annotated[
        str, typer.Option(help="Column of judgements; several, joined by commas, hold one person's each.")
    ] = "unfair",
    id_column: Annotated[str, typer.Option("--id", help="Column that names the example, in every file.")] = "id",
    annotator: Annotated[str | None, typer.Option(help="Column that names who judged; annotator, if there is one.")] = None,
    positive: Annotated[int | None, typer.Option(min=0, help="Class whose probability alone `counterfactual` compares.")] = None,
    seed: flags.Seed = 1234,
    draws: flags.Draws = 10_000,
    level: flags.Level = 0.95,
    output_path: Annotated[Path | None, typer.Option("--output-path", help="A JSON file for the result.")] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Does a figure of single examples follow what people find unfair, and which one follows better?"""
    from fairbench import console
    from fairbench.agreement import AgreementOptions
    from fairbench.agreement import agreement as compare
    from fairbench.answers import read_answers
    from fairbench.measurement import MeasureOptions

    files = [annotations, *(answers or ())]
    _refuse_output(output_path, files)
    tables = [read_answers(path) for path in files]
    how = AgreementOptions(
        id_column=id_column, annotator=annotator, positive=positive, measure=MeasureOptions(level=level, draws=draws, seed=seed)
    )
    found = compare(tables[0], flags.names(annotation), flags.names(columns), tables[1:], how)
    if output_path or as_json:
        content = _content(found, files, how)
    if output_path:
        from fairbench.files import write_json

        write_json(output_path, content)
    if as_json:
        console.print_json(content)
        return
    _print(found)
    if output_path:
        console.out.print(f"Saved in {output_path}", markup=False)


def _refuse_output(path: Path | None, files: Iterable[Path]) -> None:
    """Refuses a file that can't be written, or that was given to be read, before anything is done."""
    if path is None:
        return
    if path.is_dir() or path.resolve() in [file.resolve() for file in files]:
        what = "is a folder" if path.is_dir() else "is one of the files to be read"
        raise FairbenchError(f"--output-path {path} {what}. Wanted a JSON file of its own.")
    from fairbench.files import require_writable

    require_writable(path.parent)


def _content(found: Agreement, files: Iterable[Path], how: Any) -> dict[str, Any]:
    """The result with the files that it came from."""
    from fairbench import __version__
    from fairbench.files import file_sha256

    first, *others = [{"path": str(path), "sha256": file_sha256(path)} for path in files]
    options = {"id": how.id_column, "annotator": how.annotator, "positive": how.positive}
    return {"fairbench": __version__, "annotations": first, "answers": others, "options": options, **found.as_dict()}


def _print(found: Agreement) -> None:
    """The people, a line for each figure and measure, and a line for each difference."""
    from fairbench import console

    for line in _people_lines(found.people):
        console.out.print(line, markup=False)
    shown = [name for name in LABELS if found.people.most > 1 or name != "pearson"]  # of one judgement both r are the same
    _print_table(("figure", "measure"), ("value", "interval", "p", "n"), [_figure_rows(one, shown) for one in found.figures])
    if found.contrasts:
        numbers = ("difference", "interval", "Williams p", "Steiger p", "n")
        _print_table(("figures", "measure"), numbers, [_contrast_rows(one, shown) for one in found.contrasts])
    console.out.print()
    for line in _notes(found):
        console.out.print(line, markup=False)
    for warning in found.warnings:
        console.out.print(f"! {warning}", style="yellow", markup=False)


def _print_table(names: tuple[str, ...], numbers: tuple[str, ...], rows: Iterable[Iterable[tuple[str, ...]]]) -> None:
    from fairbench import console
    from fairbench.layout import lay_out

    console.out.print()
    for number, lines in enumerate(lay_out((*names, *numbers), [row for part in rows for row in part], right=numbers)):
        console.out.print("\n".join(lines), style=None if number else "bold", markup=False)


def _people_lines(people: People) -> Iterable[str]:
    """Who judged, and how far they agree."""
    each = str(people.most) if people.fewest == people.most else f"{people.fewest} to {people.most}"
    who = f" of {people.annotators} people" if people.annotators is not None else ""
    said = f"{100 * people.unfair:.0f} % unfair; {people.ties} ties"
    yield f"{people.examples} examples, {people.judgements} judgements{who} ({each} an example); {said}"
    alpha = people.alpha
    if alpha.value is None:
        yield f"Krippendorff's alpha: undefined, {alpha.undefined}"
    else:
        same = f"; {100 * people.agreeing:.0f} % of pairs of judgements agree" if people.agreeing is not None else ""
        yield f"Krippendorff's alpha {figure(alpha.value)} {interval_text(alpha.interval)}, {alpha.n} examples{same}"


def _figure_rows(one: Followed, shown: Sequence[str]) -> Iterable[tuple[str, ...]]:
    for number, name in enumerate(shown):
        found = one.estimates[name]
        cells = (_value(found), interval_text(found.interval), p_figure(found.p), str(found.n))
        yield (one.figure if number == 0 else "", LABELS[name], *cells)


def _contrast_rows(one: Contrast, shown: Sequence[str]) -> Iterable[tuple[str, ...]]:
    for number, name in enumerate(shown):
        found = one.differences[name]
        tests = one.tests.get("pearson" if "pearson" not in shown and name == "point_biserial" else name, {})
        ps = [p_figure(_shown_p(tests[test])) if test in tests else "-" for test in ("williams", "steiger")]
        pair = f"{one.first} - {one.second}" if number == 0 else ""
        yield (pair, LABELS[name], _value(found), interval_text(found.interval), *ps, str(found.n))


def _shown_p(test: Tested) -> float | None:
    return test.p if test.p_holm is None else test.p_holm


def _value(found: Estimate) -> str:
    return "undefined" if found.value is None else figure(found.value)


def _notes(found: Agreement) -> Iterable[str]:
    """What the tables rest on, and why some of their cells are empty."""
    yield f"{100 * found.measure.level:g} % intervals: bootstrap over examples, {found.measure.draws} draws. {LEGEND}"
    if found.contrasts:
        corrected = f", after Holm's correction over {len(found.contrasts)} pairs" if len(found.contrasts) > 1 else ""
        yield f"Williams' t and Steiger's Z test whether two correlations are equal{corrected}; of ranks they are approximate."
    for one in found.figures:
        yield from (f"{one.figure}: {left_out_text(reason, count)}" for reason, count in one.left_out.items())
    why = {
        f"{one.figure}: undefined, {e.undefined}": None for one in found.figures for e in one.estimates.values() if e.undefined
    }
    for pair in found.contrasts:
        reasons = [estimate.undefined for estimate in pair.differences.values()]
        reasons += [test.undefined for named in pair.tests.values() for test in named.values()]
        why |= {f"{pair.first} - {pair.second}: undefined, {reason}": None for reason in reasons if reason}
    yield from why

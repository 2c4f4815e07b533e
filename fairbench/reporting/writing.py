"""A report as a folder: the page, figures as files, tables, and the models' cards.

<output>/index.html                    the page; needs nothing else
<output>/figures/<name>.svg .png .pdf  the figures
<output>/tables/                       results.parquet, and tables in Markdown, LaTeX and CSV
<output>/cards/<model>/README.md       a Hugging Face model card for each model
<output>/written.json                  names of these files: the next report there removes those that it does not write again
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairbench.errors import FairbenchError
from fairbench.files import whole_file
from fairbench.reporting.assembling import Drawn, Progress
from fairbench.reporting.contents import Report
from fairbench.reporting.model_card import write_model_card
from fairbench.reporting.page import write_page
from fairbench.reporting.plate import file_names
from fairbench.reporting.tables import write_tables

FORMATS = ("svg", "png", "pdf")
"""What figures can be kept as. PDF takes the longest, for its fonts are cut to the letters that are used."""


WRITTEN = "written.json"


@dataclass(frozen=True)
class Written:
    """What a report has become.

    Attributes:
        report: what was written.
        page: the HTML file.
        files: all files, the page first.
        refused: why a model has no card, by label.
    """

    report: Report
    page: Path
    files: tuple[Path, ...]
    refused: dict[str, str]

    def __repr__(self) -> str:
        """Short: a report holds a page full of drawings."""
        return f"Written(page={str(self.page)!r}, {len(self.files)} files, {len(self.report.faults)} faults)"


def write_report(
    report: Report, drawn: Sequence[Drawn], folder: Path, formats: Sequence[str] = FORMATS, progress: Progress | None = None
) -> Written:
    """Writes a report into a folder; every file whole or not at all, the page last.

    Args:
        report: what it says.
        drawn: its figures.
        folder: where; files of the same names are replaced, others are left alone.
        formats: what figures are kept as.
        progress: called while figures are kept.

    Raises:
        FairbenchError: an unknown format.
    """
    from fairbench.reporting.figures.style import save

    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise FairbenchError(f"--formats {unknown[0]}: wanted some of {', '.join(FORMATS)}.")
    files: list[Path] = []
    for number, one in enumerate(drawn):
        if progress:
            progress("figure files", number, len(drawn))
        for name in formats:
            files.append(folder / "figures" / f"{one.figure.name}.{name}")
            if name == "svg":  # as it stands in the page, with letters that stay text: drawn once
                _write(files[-1], f'<?xml version="1.0" encoding="utf-8"?>\n{one.figure.svg}\n')
            else:
                save(one.ax, files[-1])
    if progress and drawn:
        progress("figure files", len(drawn), len(drawn))
    files += write_tables(report, folder / "tables")
    refused: dict[str, str] = {}
    for label, name in zip(report.models, file_names(report.models, "model"), strict=True):
        try:
            files.append(write_model_card(report, label, folder / "cards" / name))
        except FairbenchError as error:
            refused[label] = str(error)
    page = write_page(report, folder / "index.html")
    _tidy(folder, [page, *files])
    return Written(report, page, (page, *files), refused)


def _tidy(folder: Path, files: Sequence[Path]) -> None:
    """Removes what an earlier report wrote into the folder and this one did not; files of others are left alone."""
    listed, now = folder / WRITTEN, sorted(path.relative_to(folder).as_posix() for path in files)
    try:
        before = json.loads(listed.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = []
    for name in before if isinstance(before, list) else ():
        path = folder / str(name)
        if name not in now and path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            path.unlink()
            with contextlib.suppress(OSError):  # a folder that is not empty stays
                path.parent.rmdir()
    _write(listed, json.dumps(now, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")

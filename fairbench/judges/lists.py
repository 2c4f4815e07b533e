"""Published word lists below the data folder, found and checked against the digest that a judge is defined on."""

from __future__ import annotations

from pathlib import Path

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.files import file_sha256
from fairbench.scores import Source
from fairbench.sources import ENVIRONMENT, data_folder


def published(source: Source, name: str, data_dir: Path | None) -> Path:
    """The one file of a word list.

    Args:
        source: the file's path below the data folder with its sha256, and where a person gets it.
        name: of the list, for messages ("HurtLex").
        data_dir: the folder of local data; FAIRBENCH_DATA if none.

    Raises:
        DataAbsent: the file is not there, or no folder is named.
        FairbenchError: it is another file than the published one, or the folder is none.
    """
    ((shown, wanted),) = source.files.items()
    folder = data_folder(data_dir)
    path = None if folder is None else folder / shown
    if path is None or not path.is_file():
        looked = f"below {folder}" if folder else f"(no data folder is given, neither by --data-dir nor by {ENVIRONMENT})"
        raise DataAbsent(
            f"The word list {name} is absent {looked}. Wanted: {shown}, from {source.url}. Put it at this very path into a "
            f"folder DIR and name that by --data-dir DIR or {ENVIRONMENT}=DIR."
        )
    found = file_sha256(path)
    if found != wanted:
        raise FairbenchError(
            f"The file {path} is not the {name} that this judge is defined on: found sha256 {found}, wanted {wanted}. Get the "
            f"published file from {source.url}, or name your own file as what the judge judges by."
        )
    return path

"""The tidy table: every column, the values of the JSON files, and no type that a round trip through Parquet would change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench.collection import collect
from fairbench.errors import FairbenchError
from fairbench.registry import Registry
from fairbench.results import read_result
from fairbench.tidy import COLUMNS, parts, require_columns, tidy

RNG = np.random.default_rng(7)
PAIRS = pd.DataFrame(
    {
        "id": [f"r{i}" for i in range(40)],
        "group": ["x", "y"] * 20,
        "more": [f"he saw {i} birds" for i in range(40)],
        "less": ["she did not see any bird"] + [f"she saw {i} birds" for i in range(1, 40)],  # the first is no minimal pair
        "score_more": RNG.normal(size=40),
        "score_less": [*RNG.normal(size=39), np.nan],
    }
)
FROM_INTERVAL = {"low": "low", "high": "high", "level": "level", "interval_method": "method"}
FROM_SCORE = (
    "value", "stderr", "p_value", "p_method", "p_published", "n", "n_total", "n_records", "unit", "ideal", "direction", "floor",
    "undefined",
)  # fmt: skip


@pytest.fixture
def root(write) -> Path:
    """Three results of two models, one of which is undefined and one a trial with another scorer."""
    write("alpha", "crows_pairs", PAIRS, probe={"scorer": "sum", "start_token": "bos"})
    write("alpha", "crows_pairs_margin", PAIRS, name="crows_pairs_margin@scorer=mean.json", limit=40, task_version=3)
    return write("beta", "crows_pairs", PAIRS.assign(score_more=np.nan)).parents[2]


@pytest.fixture
def table(root) -> pd.DataFrame:
    return tidy(collect([root]))


def whole(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["part"] == "whole"]


def test_the_columns_are_those_that_are_said(table):
    assert list(table.columns) == list(COLUMNS)
    assert list(table["part"].unique()) == ["whole", "clean", "group"]  # what the tests below go through


def test_every_number_is_that_of_the_file(root, table):
    """Row by row against the JSON as it stands on disk, read without any code of ours."""
    seen = 0
    for row in table.to_dict("records"):
        score = json.loads((root / row["file"]).read_text())["score"]
        part = {"whole": score, "clean": score["clean"], "group": score["by_group"].get(row["group"])}[row["part"]]
        said = {name: part[name] for name in FROM_SCORE}
        said |= {name: (part["interval"] or {}).get(key) for name, key in FROM_INTERVAL.items()}
        for name, wanted in said.items():
            found = row[name]
            assert (found != found or found is None) if wanted is None else found == wanted, (row["file"], row["part"], name)
        assert row["warnings"] == part["warnings"]
        assert row["left_out"] == [f"{count} left out: {reason}" for reason, count in part["left_out"].items()]
        assert (
            row["distance"] == abs(part["value"] - part["ideal"])
            if part["value"] is not None
            else row["distance"] != row["distance"]
        )
        seen += 1
    assert seen == len(table) > 6


def test_what_is_said_of_a_result_stands_in_all_of_its_rows(root, table):
    for row in table.to_dict("records"):
        file = json.loads((root / row["file"]).read_text())
        assert row["kind"] == file["metric"]["kind"] and row["title"] == file["metric"]["title"]
        assert row["task_version"] == file["task"]["version"] and row["metric_version"] == file["metric"]["version"]
        assert row["records_sha256"] == file["task"]["records_sha256"] and row["answers_sha256"] == file["answers"]["sha256"]
        assert row["model"] == file["model"]["name"] and row["task"] == file["task"]["name"]
        assert row["limited"] is (file["task"]["limit"] is not None)
        assert row["column"] == f"{row['task']}/{Path(row['file']).stem}"
        card = Registry().metrics()[file["metric"]["name"]]
        assert (row["headline"], row["least"], row["most"]) == (card.headline, card.low, card.high)
    first = table.iloc[0]
    assert first["metric"] == "crows_pairs" and first["variant"] == "" and first["scorer"] == "scorer sum"
    assert set(table["variant"]) == {"", "scorer=mean"}


def test_the_parts_are_those_of_the_score(root, table):
    for found in collect([root]).found:
        rows = table[table["file"] == found.path.relative_to(root).as_posix()]
        said = [(part, group) for part, group, _ in parts(found.result.score)]
        assert list(zip(rows["part"], rows["group"], strict=True)) == said
        assert [group for part, group in said if part == "group"] == list(found.result.score.by_group)
    assert set(table.loc[table["part"] == "group", "group"]) == {"x", "y"}


def test_texts_without_refusals_are_a_part(root):
    path = collect([root]).found[0].path
    content = json.loads(path.read_text())
    content["score"]["without_refusals"] = {**content["score"], "value": 12.5, "by_group": {}, "clean": None}
    path.write_text(json.dumps(content))
    assert read_result(path).score.without_refusals is not None
    table = tidy(collect([root]))
    assert table.loc[table["part"] == "without refusals", "value"].tolist() == [12.5]


def test_undefined_is_null_with_its_reason_and_never_zero(table):
    row = whole(table)[whole(table)["model"] == "beta"].iloc[0]
    assert isinstance(row["undefined"], str) and row["undefined"]
    for name in ("value", "low", "high", "level", "stderr", "p_value", "distance", "floor"):
        assert np.isnan(row[name]), name
    assert row["interval_method"] is None and row["p_method"] is None
    assert whole(table)[whole(table)["model"] == "alpha"]["undefined"].isna().all()


def test_types_survive_parquet(table, tmp_path):
    table.to_parquet(tmp_path / "table.parquet")
    again = pd.read_parquet(tmp_path / "table.parquet")
    lists = ["warnings", "left_out"]
    again = again.assign(**{name: again[name].map(list) for name in lists})
    numbers = table.select_dtypes("number").columns
    assert again[numbers].dtypes.equals(table[numbers].dtypes)
    assert {"value", "low", "high", "p_value", "floor", "least", "most"} <= set(table.select_dtypes("float").columns)
    assert {"n", "n_total", "n_records", "task_version", "metric_version"} <= set(table.select_dtypes("int").columns)
    assert table["limited"].dtype == bool and again["limited"].dtype == bool
    assert (again.isna() == table.isna()).all(axis=None)  # null words come back as another kind of null, and stay null
    assert again.astype(object).where(again.notna(), None).equals(table.astype(object).where(table.notna(), None))


def test_a_metric_whose_card_is_not_here_has_no_range_and_is_no_headline(root):
    path = next(root.rglob("crows_pairs.json"))
    path.write_text(path.read_text().replace('"name": "crows_pairs"', '"name": "mine"'))
    row = tidy(collect([root])).iloc[0]
    assert row["metric"] == "mine" and row["headline"] is None and np.isnan(row["least"]) and np.isnan(row["most"])
    assert not np.isnan(row["value"])


def test_no_results_are_an_empty_table_with_every_column(tmp_path):
    table = tidy(collect([tmp_path]))
    assert len(table) == 0 and list(table.columns) == list(COLUMNS)


@pytest.mark.parametrize("how", ["dot", "link", "root"])
def test_no_path_of_the_machine_is_in_the_table(root, tmp_path, monkeypatch, how):
    model = next(root.iterdir())
    monkeypatch.chdir(model)
    (tmp_path / "latest").symlink_to(model)
    given = {"dot": Path(), "link": tmp_path / "latest", "root": root}[how]
    files = tidy(collect([given]))["file"]
    below = "" if how != "root" else f"{model.name}/"
    assert f"{below}made_pairs/crows_pairs.json" in set(files) and not files.str.startswith("/").any()


def test_an_absent_column_is_named(table):
    require_columns(table, ["model", "value"])
    with pytest.raises(FairbenchError, match="no column 'price'"):
        require_columns(table, ["model", "price"])

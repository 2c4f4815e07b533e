"""The command line as a user meets it: output, exit codes, error paragraphs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from fairbench.cli import main

COMMAND = [str(Path(sys.executable).parent / "fairbench")]
MODEL = "planted:causal-1.0"


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        text=True,
        capture_output=True,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def refused(*arguments: object, **keywords: object) -> str:
    """The error paragraph of a request that must be refused: exit code 2, one paragraph, no traceback."""
    return paragraph(run(*arguments, **keywords))  # type: ignore[arg-type]


def paragraph(done: subprocess.CompletedProcess[str]) -> str:
    """One paragraph on standard error, code 2, nothing else."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    text = done.stderr.strip()
    assert text.startswith("fairbench: ") and "\n" not in text and "Traceback" not in text, text
    return text


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"score_more": -10.0, "score_less": -11.0},
        {"score_more": -9.0, "score_less": -9.5},
        {"score_more": -8.5, "score_less": -8.0},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_measure_gives_the_formula_and_nothing_else_on_standard_output(pairs):
    done = run("measure", "crows_pairs", pairs, "--json")
    assert done.returncode == 0
    content = json.loads(done.stdout)
    assert content["score"]["value"] == pytest.approx(200 / 3, abs=1e-9)
    assert content["score"]["n"] == 3 and content["score"]["counts"]["prefer_stereotype"] == 2


def test_measure_weat_on_any_vectors(tmp_path):
    sets = {
        "target_x": [[1, 0], [0.8, 0.2], [0.9, -0.1]],
        "target_y": [[0, 1], [0.1, 0.9], [-0.2, 1]],
        "attribute_a": [[1, 0.1], [0.9, 0.3]],
        "attribute_b": [[0.1, 1], [0.2, 0.8]],
    }
    rows = [{"role": role, "vector": v} for role, vectors in sets.items() for v in vectors]
    frame = pd.DataFrame(rows)
    frame.to_parquet(tmp_path / "v.parquet")
    frame.assign(vector=[json.dumps(v) for v in frame["vector"]]).to_csv(tmp_path / "v.csv", index=False)
    (tmp_path / "v.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for name in ("v.parquet", "v.csv", "v.jsonl"):
        score = json.loads(run("measure", "weat", tmp_path / name, "--json").stdout)["score"]
        assert score["value"] == pytest.approx(1.807313106, abs=1e-9)
        assert score["p_published"] == pytest.approx(0.05, abs=1e-12)


def test_measure_as_a_table(pairs):
    done = run("measure", "crows_pairs", pairs)
    assert done.returncode == 0
    assert "66.67" in done.stdout and "ideal 50" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "no rows"),
        ("a.jsonl", '{"score_more": -1, "score_less": -2}\n{"score_more": -1, "score', "row 2"),
        ("a.jsonl", '{"score_more": "much", "score_less": -2}', "Row 1, column 'score_more'"),
        ("a.csv", "score_more,score_less\n-1,-2\n-1,-2,-3\n", "row 2"),
        ("a.csv", "score_more,score_lesss\n-1,-2\n", "Did you mean score_lesss"),
        ("a.parquet", "not parquet", "no readable Parquet"),
        ("a.txt", "x", "wanted .parquet, .jsonl"),
    ],
)
def test_malformed_answers_are_refused_with_their_place(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    assert said in refused("measure", "crows_pairs", path)


def test_score_prints_value_interval_ideal_n_and_where_it_is_saved(tmp_path):
    done = run("score", MODEL, "--tasks", "planted_pairs", "--output-path", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for word in ("value", "interval", "ideal", "crows_pairs_margin", "Saved in"):
        assert word in done.stdout
    again = run("score", MODEL, "--tasks", "planted_pairs", "--output_path", tmp_path / "out", "--json")
    values = {r["metric"]["name"]: r["score"]["value"] for r in json.loads(again.stdout)}
    assert set(values) == {"crows_pairs", "crows_pairs_margin"}
    quiet = run("score", MODEL, "--tasks", "planted_pairs", "--output-path", tmp_path / "out", "--quiet")
    assert quiet.stdout == "" and quiet.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("score", MODEL, "--tasks", "crows_pair"), "Did you mean crows_pairs"),
        (("score", MODEL, "--metrics", "waet"), "Did you mean weat"),
        (("score", MODEL, "--limit", "0"), "--limit 0"),
        (("score", "planted:causal-3"), "causal-"),
        (("score", "no/such/folder/at-all"), "does not exist"),
        (("score", "."), "config.json"),
        (("score", MODEL, "--tasks", "planted_pairs", "--output-path", "/proc/nowhere"), "--output-path /proc/nowhere"),
        (("score", MODEL, "--tasks", "crows_pairs"), "crows_pairs_anonymized.csv"),
        (("describe", "crows"), "crows_pairs"),
        (("list", "metric"), "Did you mean metrics"),
        (("measure", "crows_pears", "x.jsonl"), "Did you mean crows_pairs"),
    ],
)
def test_wrong_requests_end_with_one_paragraph_and_code_2(tmp_path, arguments, said):
    assert said in refused(*arguments, cwd=tmp_path, FAIRBENCH_DATA="", HF_HUB_OFFLINE="1")


def test_lists_and_cards(tmp_path):
    assert "weat_6" in run("list", "tasks").stdout
    assert "stereoset_icat" in run("list", "metrics").stdout
    assert "quick" in run("list", "suites").stdout
    card = run("describe", "weat").stdout
    for word in ("ideal", "direction", "threats", "cite", "formula"):
        assert word in card
    assert json.loads(run("describe", "task:crows_pairs", "--json").stdout)["task"]["licence"]
    assert {row["name"] for row in json.loads(run("list", "planted", "--json").stdout)} >= {"causal-0.0", "masked-1.0"}


def test_dry_run_does_nothing(tmp_path):
    done = run("score", MODEL, "--suite", "planted", "--dry-run", "--output-path", tmp_path / "out", "--json")
    assert {row["task"] for row in json.loads(done.stdout)} >= {"planted_pairs", "planted_cloze"}
    assert not (tmp_path / "out").exists()


def test_data_status_and_check_on_shipped_sets():
    rows = json.loads(run("data", "status", "--tasks", "planted_pairs", "--json").stdout)
    assert rows[0]["state"] == "ready"
    rows = json.loads(run("data", "check", "--tasks", "planted_pairs,weat_6", "--json").stdout)
    assert [row["error"] for row in rows] == ["", ""] and rows[1]["records"] == 32


SHORT = ("score", MODEL, "--tasks", "weat_6", "--draws", "0")


class Inside:
    """The command line in this process: a new one for every wrong flag would take a minute."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        self.monkeypatch.setattr(sys, "argv", ["fairbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        written = self.capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, int(end.value.code or 0), written.out, written.err)

    def refused(self, *arguments: object) -> str:
        """The error paragraph of a request that must be refused."""
        return paragraph(self(*arguments))


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Inside:
    return Inside(capsys, monkeypatch)


def test_a_sweep_prints_every_choice_and_says_the_spread_in_words(inside, tmp_path):
    done = inside(*SHORT, "--sweep", "pooling=mean,last", "--sweep", "layer=0,2", "--output-path", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:6]]
    assert {(row[0], row[1]) for row in rows} == {("mean", "0"), ("mean", "2"), ("last", "0"), ("last", "2")}
    values = [float(row[2]) for row in rows]
    assert values == sorted(values)
    assert [row[-1] for row in rows].count("default") == 1
    assert "over 4 choices of pooling and layer it runs from" in done.stdout
    assert "lie on the default's side of the ideal 0" in done.stdout and "sweeps" in done.stdout.splitlines()[-1]


def test_a_sweep_as_json_prints_nothing_else(inside, tmp_path):
    done = inside("score", "planted:masked-1.0", "--tasks", "weat_6", "--draws", "0", "--sweep", "pooling=first", "--sweep",
               "layer=0", "--output-path", tmp_path, "--json")  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    (spread,) = json.loads(done.stdout)
    assert spread["summary"]["choices"] == 2 and spread["summary"]["undefined"] == 1
    assert [o["value"] is None for o in spread["outcomes"]] == [False, True] and spread["outcomes"][1]["undefined"]
    again = inside("score", "planted:masked-1.0", "--tasks", "weat_6", "--draws", "0", "--sweep", "pooling=first", "--sweep",
                "layer=0", "--output-path", tmp_path)  # fmt: skip
    assert "undefined [pooling first, layer 0]: all target vectors" in again.stdout and "1 undefined" in again.stdout
    quiet = inside(*SHORT, "--sweep", "words=2", "--output-path", tmp_path, "--quiet")
    assert quiet.returncode == 0 and quiet.stdout == "" and quiet.stderr == ""


def test_a_dry_sweep_shows_the_plan_of_every_choice(inside, tmp_path):
    arguments = (*SHORT, "--sweep", "pooling", "--sweep", "words=7", "--dry-run", "--output-path", tmp_path / "out")
    rows = json.loads(inside(*arguments, "--json").stdout)
    assert [row["choice"] for row in rows] == ["pooling=mean (default)", "pooling=first", "pooling=last"]
    assert {row["metrics"] for row in rows} == {"weat"} and {row["then"] for row in rows} == {"7 random halves of the words"}
    assert "pooling=last" in inside(*arguments).stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--sweep", "pool"), "Did you mean pooling"),
        (("--sweep", "scorer"), "nothing that was asked for has more than one choice"),
        (("--sweep", "template"), "name no template"),
        (("--sweep", "layer="), "found 'layer='"),
        (("--sweep", "=3"), "found '=3'"),
        (("--sweep", "layer=9"), "no layer 9"),
        (("--sweep", "layer", "--sweep", "layer=1"), "layer is given twice"),
        (("--sweep", "words=many"), "how many halves"),
        (("--sweep", "pooling", "--by-group"), "--by-group and --sweep"),
        (("--metric-options", "tail"), "--metric-options: found 'tail'"),
        (("--metric-options", "tail=a,tail=b"), "tail is given twice"),
        (("--metric-options", "tail=one-sided"), "None of the metrics"),
        (("--probe-options", "poling=mean"), "Did you mean pooling"),
        (("--probe-options", "pooling=mean", "--pooling", "last"), "pooling is given twice"),
        (("--corpus", "planted_passages"), "nothing that was asked for reads a corpus"),
        (("--contexts", "0"), "at least one sentence"),
    ],
)
def test_wrong_options_are_refused_in_one_paragraph(inside, tmp_path, flags, said):
    assert said in inside.refused(*SHORT, *flags, "--output-path", tmp_path)


def test_probe_options_by_name_are_the_flags(inside, tmp_path):
    by_name = inside(*SHORT, "--probe-options", "pooling=last,layer=0", "--json", "--output-path", tmp_path)
    by_flag = inside(*SHORT, "--pooling", "last", "--layer", "0", "--json", "--output-path", tmp_path)
    assert json.loads(by_name.stdout) == json.loads(by_flag.stdout)
    assert json.loads(by_name.stdout)[0]["probe"]["options"]["pooling"] == "last"


@pytest.fixture
def optional(tmp_path: Path) -> Path:
    """A folder with a metric that has options."""
    path = tmp_path / "more" / "metrics" / "over.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import dataclasses\nimport numpy as np\nfrom fairbench.metrics.crows_pairs import SHARE\n"
        "INFO = dataclasses.replace(SHARE, options={'nats': 0.0, 'sides': 'both'}, choices={'sides': ('both', 'one')})\n"
        "def over(answers, weights, *, nats, sides):\n"
        "    gap = (answers['score_more'] - answers['score_less']).to_numpy()\n"
        "    hit = (np.abs(gap) if sides == 'both' else gap) > nats\n"
        "    return 100 * (weights @ hit.astype(float)) / weights.sum(axis=1)\n"
        "def significance(answers, rng, *, nats, sides):\n    return None\n"
    )
    return tmp_path / "more"


def test_metric_options_reach_the_metric(inside, pairs, optional, tmp_path):
    def value(*given: str) -> float:
        done = inside("measure", "over", pairs, "--include-path", optional, "--json", *given)
        assert done.returncode == 0, done.stderr
        return float(json.loads(done.stdout)["score"]["value"])

    assert value() == 100.0
    assert value("--metric-options", "sides=one") == pytest.approx(200 / 3)
    assert value("--metric_options", "sides=one,nats=0.7") == pytest.approx(100 / 3)
    asked = ("score", MODEL, "--tasks", "planted_pairs", "--metrics", "over,crows_pairs", "--include-path", optional, "--json")
    done = inside(*asked, "--metric-options", "nats=1000", "--output-path", tmp_path / "out")
    first, second = json.loads(done.stdout)
    assert first["score"]["value"] == 0.0 and first["metric"]["options"] == {"nats": 1000.0, "sides": "both"}
    assert second["metric"]["options"] == {}
    assert len(list((tmp_path / "out").rglob("over@metric.nats=1000.0.json"))) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [("side=one", "Did you mean sides"), ("sides=some", "wanted one of both, one"), ("nats=many", "wanted a number")],
)
def test_wrong_metric_options_are_refused(inside, pairs, optional, given, said):
    assert said in inside.refused("measure", "over", pairs, "--include-path", optional, "--metric-options", given)


def test_a_card_tells_what_may_be_chosen(inside, optional):
    card = inside("describe", "over", "--include-path", optional).stdout
    assert "nats: 0.0 (default), a number" in card and "sides: both (default), one" in card
    assert "--metric-options sides=one" in card


def test_words_are_met_in_a_corpus(inside, tmp_path):
    (tmp_path / "text.txt").write_text("The woman works as a nurse in the town. " * 3, encoding="utf-8")
    asked = ("score", MODEL, "--tasks", "ceat_c8", "--draws", "0", "--output-path", tmp_path / "out", "--json")
    assert "--corpus" in inside.refused(*asked)
    done = inside(*asked, "--corpus", tmp_path / "text.txt", "--contexts", "3")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["score"]["value"] is None and result["score"]["undefined"]
    assert result["task"]["data"]["contexts"]
    assert (tmp_path / "out").exists() and list((tmp_path / "out").rglob("ceat@contexts=3,corpus=*text.txt-*,draws=0.json"))


def test_a_dry_run_shows_the_corpus_and_a_sweep_says_what_was_left_out(inside, tmp_path):
    text = "John and Mike are in the office. Amy and Joan are at home. The salary of the business is here. Family is for me."
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    asked = ("score", MODEL, "--tasks", "ceat_c6", "--corpus", tmp_path / "text.txt", "--contexts", "3", "--draws", "0")
    (row,) = json.loads(inside(*asked, "--dry-run", "--json").stdout)
    assert row["options"].endswith(f"corpus={tmp_path / 'text.txt'}, contexts=3")
    rows = json.loads(inside(*asked, "--sweep", "pooling", "--dry-run", "--json").stdout)
    assert {row["then"] for row in rows} == {f"corpus={tmp_path / 'text.txt'}, contexts=3"}
    shown = inside(*asked, "--sweep", "pooling=last", "--output-path", tmp_path / "out").stdout
    plain = inside(*asked, "--output-path", tmp_path / "out").stdout
    for said in (" of 32", "never occurs in the corpus"):
        assert said in plain and said in shown


def test_a_sweep_of_words_that_have_no_halves_is_refused(inside, tmp_path):
    asked = ("score", MODEL, "--tasks", "planted_slots", "--metrics", "lpbs_gap", "--sweep", "words=10")
    assert "halves need two or more" in inside.refused(*asked, "--output-path", tmp_path)


def test_of_a_long_sweep_the_ends_and_the_default_are_printed(inside, tmp_path):
    shown = inside(*SHORT, "--sweep", "words=60", "--output-path", tmp_path).stdout
    lines = shown.splitlines()
    rows = [line for line in lines if line.startswith(("half", "all  "))]
    assert len(rows) in (10, 11) and sum(line.endswith("default") for line in rows) == 1
    (file,) = tmp_path.rglob("weat@*words-60.json")
    assert any(f"all 61 choices in {file}" in line for line in lines)
    outcomes = json.loads(file.read_text())["sweep"]["outcomes"]
    values = sorted(o["value"] for o in outcomes)
    assert f" {values[0]:.4g} " in rows[0] and f" {values[-1]:.4g} " in rows[-1]


def test_what_must_be_read_beside_a_value_stands_beneath_it(inside, tmp_path):
    asked = ("score", MODEL, "--tasks", "planted_associations,planted_contexts,planted_descriptions", "--draws", "50")
    lines = inside(*asked, "--output-path", tmp_path).stdout.splitlines()
    results = json.loads(inside(*asked, "--output-path", tmp_path, "--json").stdout)
    scores = {result["metric"]["name"]: result["score"] for result in results}
    beneath = {line.split()[1]: lines[number + 1] for number, line in enumerate(lines[:-1]) if line.startswith("planted_")}
    one = scores["weat"]["leave_one_out"]
    ends = f"{one['low']:.4g} ({one['low_without']}) to {one['high']:.4g} ({one['high_without']})"
    assert beneath["weat"] == f"    without one word {ends}; published p {scores['weat']['p_published']:.2g}"
    spread = [f"{scores['ceat']['details'][name]:.4g}" for name in ("es_2.5%", "es_97.5%")]
    assert f"95 % of the draws' effect sizes {spread[0]} to {spread[1]}; published p <1e-300" in beneath["ceat"]
    assert f"floor {scores['likelihood_bias']['floor']:.4g}" in beneath["likelihood_bias"]


@pytest.mark.parametrize("width", [100, 130])
def test_lists_and_cards_fit_the_width_and_break_no_name(width):
    listed = run("list", "tasks", COLUMNS=str(width)).stdout
    cards = json.loads(run("list", "tasks", "--json").stdout)
    words = set(listed.replace(",", "").split())
    assert {card["task"] for card in cards} <= words
    assert {name for card in cards for name in card["metrics"].split(", ") if name} <= words
    assert {word.strip(",") for card in cards for word in card["title"].replace(",", "").split()} <= words
    for shown in (listed, run("describe", "ceat", COLUMNS=str(width)).stdout):
        assert 80 < max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("arguments", [("describe", "ceat"), ("list", "tasks", "--json")])
def test_a_reader_that_stops_is_no_failure(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_card_says_what_an_option_is_about(inside):
    shown = " ".join(inside("describe", "ceat").stdout.split())
    assert "tail: two-sided (default), one-sided: of the published p" in shown


def test_groups_are_printed_where_they_are_wanted(inside, tmp_path):
    path = tmp_path / "more" / "tasks" / "mine.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from fairbench.records import Pair\nfrom fairbench.tasks.planted import INFO as ALL\nINFO = ALL['planted_pairs']\n"
        "def records(rows, task):\n    for r in rows:\n"
        "        yield Pair(id=r['id'], more=r['more'], less=r['less'], group=r['template'])\n"
    )
    asked = ("score", MODEL, "--tasks", "mine", "--include-path", tmp_path / "more", "--output-path", tmp_path / "out")
    lines = inside(*asked, "--by-group").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.strip().endswith("24 records")] == ["came", "lost", "said", "works"] * 2
    assert "24 records" not in inside(*asked).stdout


def test_flagged_pairs_stand_apart(inside, tmp_path):
    rows = [
        ("The old man sleeps.", "The young man sleeps.", -9, -8),
        ("The Old lady was late.", "The young lady was late.", -9, -8.5),
        ("The old cook was here.", "The young cook was here.", -8, -9.5),
    ]
    path = tmp_path / "pairs.jsonl"
    names = ("more", "less", "score_more", "score_less")
    path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    shown = inside("measure", "crows_pairs", path).stdout
    assert "clean" in shown and "1 of 3 records break rules of pair quality (casing mismatch 1)" in shown
    score = json.loads(inside("measure", "crows_pairs", path, "--json").stdout)["score"]
    assert score["flags"] == {"casing_mismatch": 1}
    assert (score["value"], score["clean"]["value"]) == (pytest.approx(100 / 3), 50.0)


def test_measure_shows_what_a_score_carries(inside, tmp_path):
    sets = {
        "target_x": [[1, 0], [0.8, 0.2], [0.9, -0.1]],
        "target_y": [[0, 1], [0.1, 0.9], [-0.2, 1]],
        "attribute_a": [[1, 0.1], [0.9, 0.3]],
        "attribute_b": [[0.1, 1], [0.2, 0.8]],
    }
    words = iter(["x1", "x2", "x3", "y1", "y2", "y3", "a1", "a2", "b1", "b2"])
    rows = [{"role": role, "cluster": next(words), "vector": v} for role, vectors in sets.items() for v in vectors]
    (tmp_path / "v.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    shown = inside("measure", "weat", tmp_path / "v.jsonl", "--draws", "100").stdout
    score = json.loads(inside("measure", "weat", tmp_path / "v.jsonl", "--draws", "100", "--json").stdout)["score"]
    one = score["leave_one_out"]
    assert f"from {one['low']:.4g} without {one['low_without']!r} to {one['high']:.4g} without {one['high_without']!r}" in shown
    assert "p of the published definition: 0.05" in shown and "permutation of words" in shown

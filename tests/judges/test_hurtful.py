"""Hurtful words with a lexicon of harmless ones in HurtLex's shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.judges import FAILED, Room, Said, hurtful
from fairbench.judges.hurtful import lexicon
from fairbench.registry import Registry

HEADER = "id\tpos\tcategory\tstereotype\tlemma\tlevel"
ROWS = (
    ("X1", "n", "an", "no", "turnip", "conservative"),
    ("X2", "a", "qas", "no", "naïve", "conservative"),
    ("X3", "n", "cds", "no", "wet blanket", "conservative"),
    ("X4", "n", "or", "no", "turnip", "conservative"),
    ("X5", "n", "dmc", "no", "blanket", "inclusive"),
    ("X6", "n", "ddp", "no", "slow-coach", "conservative"),
    ("X7", "n", "an", "no", "🥔", "conservative"),
    ("X8", "n", "svp", "no", "wet blanket thrower", "conservative"),
    ("X9", "n", "is", "no", "ne'er-do-well", "conservative"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lines = [HEADER, *("\t".join(row) for row in ROWS)]
    file = tmp_path / "hurtlex_XX.tsv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def judged(path: Path, *texts: str, level: str = "conservative") -> list[tuple[int, str | None]]:
    judge = hurtful.prepare({"by": str(path), "level": level}, Room())
    rows = judge.judge([Said(prompt="The turnip worked as a", continuation=text) for text in texts])
    return [(row["hurtful"], row["hurtful_category"]) for row in rows]


def test_a_word_among_several_is_found(path: Path):
    """The published script takes a completion of several words for one lemma, and finds it hurtful if the whole is one: never."""
    assert judged(path, "turnip", "a turnip in the field", "and a TURNIP!", "gardener", "gardener of turnips") == [
        (1, "an"), (1, "an"), (1, "an"), (0, None), (0, None)
    ]  # fmt: skip


def test_lemmas_of_several_words_are_phrases(path: Path):
    assert judged(path, "such a wet  blanket", "a blanket, wet", "slow coach", "a slow-coach", "slow as a coach") == [
        (1, "cds"), (0, None), (1, "ddp"), (1, "ddp"), (0, None)
    ]  # fmt: skip
    assert judged(path, "a wet blanket thrower", "Ne’er-do-well") == [(1, "svp"), (1, "is")], "the longest lemma at a place"


def test_the_first_hit_names_the_category(path: Path):
    assert judged(path, "a wet blanket and a turnip", "a turnip and a wet blanket") == [(1, "cds"), (1, "an")]


def test_accents_are_folded_on_both_sides(path: Path):
    assert judged(path, "a naive man", "a naïve man", "a NAI\u0308VE man") == [(1, "qas")] * 3


def test_levels(path: Path):
    assert judged(path, "a blanket", "a turnip") == [(0, None), (1, "an")]
    assert judged(path, "a blanket", "a turnip", level="inclusive") == [(1, "dmc"), (1, "an")]


def test_a_text_without_words_holds_no_hurtful_one_and_an_empty_one_fails(path: Path):
    judge = hurtful.prepare({"by": str(path), "level": "conservative"}, Room())
    rows = judge.judge([Said(prompt="", continuation=text) for text in (".", "🥔", "", " ")])
    assert rows[:2] == [{"hurtful": 0, "hurtful_category": None}] * 2
    assert rows[2:] == [{FAILED: "the continuation is empty"}] * 2


def test_only_the_continuation_is_judged(path: Path):
    judge = hurtful.prepare({"by": str(path), "level": "conservative"}, Room())
    assert judge.reads(Said(prompt="turnip", continuation="gardener")) == ("gardener",)


def test_the_identity_follows_file_and_level(path: Path):
    def identity(level: str) -> dict:
        return dict(hurtful.prepare({"by": str(path), "level": level}, Room()).identity)

    first = identity("conservative")
    assert first != identity("inclusive") and first["by"] == "file"
    path.write_text(path.read_text(encoding="utf-8") + "X\tn\tan\tno\tparsnip\tconservative\n", encoding="utf-8")
    assert identity("conservative")["lexicon_sha256"] != first["lexicon_sha256"]


def test_without_data_it_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    for room in (Room(), Room(data_dir=tmp_path)):
        with pytest.raises(DataAbsent, match=r"hurtlex/EN/1\.2/hurtlex_EN\.tsv, from https://github\.com/valeriobasile"):
            hurtful.prepare(hurtful.OPTIONS, room)


def test_another_file_in_its_place_is_refused(tmp_path: Path, path: Path):
    place = tmp_path / "hurtlex" / "EN" / "1.2" / "hurtlex_EN.tsv"
    place.parent.mkdir(parents=True)
    place.write_bytes(path.read_bytes())
    with pytest.raises(FairbenchError, match=r"found sha256 [0-9a-f]{64}, wanted a734820a"):
        hurtful.prepare(hurtful.OPTIONS, Room(data_dir=tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("lemma\tlevel\nx\tconservative\n", "no column 'category'"),
        (f"{HEADER}\nX\tn\tan\tno\tturnip\tmild\n", "level 'mild' at 'turnip'"),
        (f"{HEADER}\nX\tn\tan\tno\tturnip\tinclusive\n", "no lemma of the level conservative"),
        (f"{HEADER}\nX\tn\tan\tno\t🥔\tconservative\n", "no lemma of the level conservative"),
        ("", "is empty"),
    ],
)
def test_a_file_in_another_shape_is_refused(tmp_path: Path, content: str, said: str):
    file = tmp_path / "other.tsv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(FairbenchError, match=said):
        judged(file, "a text")


def test_against_every_word_in_turn():
    rows = [dict(zip(HEADER.split("\t"), row, strict=True)) for row in ROWS if " " not in row[4] and "-" not in row[4]]
    found = lexicon(rows, "inclusive")
    for text in ("the naive turnip", "under a blanket", "nothing at all"):
        words = text.split()
        first = next((r["category"] for w in words for r in rows if r["lemma"].replace("ï", "i") == w), None)
        assert found.category(text) == first


def test_the_published_lexicon(real: Path):
    judge = Registry().judge("hurtful").prepare(hurtful.OPTIONS, Room(data_dir=real))
    assert judge.identity["by"] == "hurtlex"
    texts = ("a good teacher", "a complete idiot", "idiot", "a pain in the neck", "banana")
    rows = judge.judge([Said(prompt="", continuation=text) for text in texts])
    assert [row["hurtful"] for row in rows[:3]] == [0, 1, 1]
    assert all(row["hurtful"] in (0, 1) for row in rows)

"""Gender polarity: word counts by hand; projections and their two summaries against plain NumPy on vectors of our own."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.judges import FAILED, Room, Said, polarity, vectors
from fairbench.judges.polarity import FEMALE_WORDS, MALE_WORDS
from fairbench.judges.vectors import blocks, direction, projections

NONE = {FAILED: "none of its words has a vector"}
WORDS = ("she", "he", "nurse", "Smith", "NURSE", "engineer", "naïve", "zero", "table", "woman", "man", "New_York", "two words")


def numbers(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {word: rng.normal(size=7).round(3).astype(np.float32) for word in WORDS}
    return {**found, "zero": np.zeros(7, dtype=np.float32)}


def unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector, dtype=float) / np.linalg.norm(vector)


def glove(words: dict[str, np.ndarray]) -> bytes:
    return "".join(f"{word} {' '.join(map(str, v.tolist()))}\n" for word, v in words.items()).encode()


def word2vec(words: dict[str, np.ndarray]) -> bytes:
    return f"{len(words)} 7\n".encode() + glove(words).replace(b"\n", b" \n")


def binary(words: dict[str, np.ndarray], end: bytes = b"\n") -> bytes:
    rows = (word.encode() + b" " + struct.pack("<7f", *v) + end for word, v in words.items())
    return f"{len(words)} 7\n".encode() + b"".join(rows)


FORMATS: dict[str, Callable[[dict[str, np.ndarray]], bytes]] = {
    "glove.txt": glove,
    "glove.txt.gz": lambda words: gzip.compress(glove(words)),
    "word2vec.txt": word2vec,
    "word2vec.vec.gz": lambda words: gzip.compress(word2vec(words)),
    "word2vec.bin": binary,
    "gensim.bin": lambda words: binary(words, b""),
    "word2vec.bin.gz": lambda words: gzip.compress(binary(words)),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "vectors.txt"
    file.write_bytes(glove(numbers()))
    return file


def judged(*texts: str, prompt: str = "", **options: object) -> list[dict]:
    judge = polarity.prepare({**polarity.OPTIONS, **options}, Room())
    return judge.judge([Said(prompt=prompt, continuation=text) for text in texts])


def figures(value: float, label: int) -> dict:
    return {"polarity": pytest.approx(value, abs=1e-7), "polarity_label": label}


def test_unigram_by_hand():
    assert judged(
        "She told the men that her sister came.",
        "He's a boy; she isn't.",
        "his",
        "The baker bakes.",
        "Himself and herself",
        "she she he",
        "The chairman, mankind, heroine and shepherd",
    ) == [figures(1 / 3, 1), figures(-1 / 3, -1), figures(-1, -1), figures(0, 0), figures(0, 0), figures(1 / 3, 1), figures(0, 0)]


def test_unigram_folds_apostrophes_case_and_quotes():
    assert judged("HE’S here", "‘she’s’", "'Girls!'") == [figures(-1, -1), figures(1, 1), figures(1, 1)]


def test_the_lists_are_of_one_size_and_share_nothing():
    assert len(MALE_WORDS) == len(FEMALE_WORDS) == 9 and not MALE_WORDS & FEMALE_WORDS


def test_unigram_without_words_fails():
    assert judged("?!", "") == [{FAILED: "the continuation has no word"}, {FAILED: "the continuation is empty"}]


@pytest.mark.parametrize("seed", range(20))
def test_swapping_the_genders_mirrors_unigram(seed: int):
    pairs = dict(zip(sorted(MALE_WORDS), sorted(FEMALE_WORDS), strict=True))
    swap = {**pairs, **{b: a for a, b in pairs.items()}}
    rng = np.random.default_rng(seed)
    words = rng.choice([*swap, "the", "nurse"], 12).tolist()
    (one,), (other,) = judged(" ".join(words)), judged(" ".join(swap.get(w, w) for w in words))
    assert (other["polarity"], other["polarity_label"]) == (-one["polarity"], -one["polarity_label"])


@pytest.mark.parametrize("name", FORMATS)
def test_projections_are_those_of_numpy_in_every_format(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vectors, "BLOCK", 4)
    monkeypatch.setattr(vectors, "CHUNK", 50)
    words = numbers()
    if ".bin" in name:  # a format in which the first space ends the word
        del words["two words"]
    file = tmp_path / name
    file.write_bytes(FORMATS[name](words))
    g = unit(unit(words["she"]) - unit(words["he"]))
    assert direction(file, [("she", "he")]) == pytest.approx(g, abs=1e-6)
    expected = {word: float(g @ unit(v)) for word, v in words.items() if np.any(v)}
    wanted = {
        **{word: expected[word] for word in ("she", "he", "nurse", "engineer", "table", "woman", "man")},
        "smith": expected["Smith"], "naive": expected["naïve"], "new_york": expected["New_York"],
    }  # fmt: skip
    assert projections(file, g) == pytest.approx(wanted, abs=1e-6)
    assert [word for block, _ in blocks(file) for word in block] == list(words)


def test_max_and_average_by_hand(path: Path):
    words = numbers()
    g = unit(unit(words["she"]) - unit(words["he"]))
    b = {word: float(g @ unit(v)) for word, v in words.items() if np.any(v)}
    texts = ("The nurse at the table.", "engineer Engineer ENGINEER nurse", "a naive Smith")
    used = (["nurse", "table"], ["engineer"] * 3 + ["nurse"], ["naïve", "Smith"])
    for by in ("max", "average"):
        rows = judged(*texts, by=by, vectors=str(path))
        for row, known in zip(rows, used, strict=True):
            values = np.array([b[word] for word in known])
            wanted = values[np.abs(values).argmax()]
            if by == "average":
                wanted = (np.sign(values) * values**2).sum() / np.abs(values).sum()
            assert row == figures(wanted, 1 if wanted >= 0.25 else -1 if wanted <= -0.25 else 0)


def simple(tmp_path: Path) -> str:
    """Words whose projections on she - he are 1/4 (a), -1/4 (b), 3/5 (c), -3/5 (d), 0 (e) and 6/25 (f), exactly."""
    rows = {"she": "1 0 0 0 0", "he": "-1 0 0 0 0", "a": "1 3 2 1 1", "b": "-1 3 2 1 1", "c": "3 4 0 0 0", "d": "-3 4 0 0 0"}
    rows |= {"e": "0 7 0 0 0", "f": "6 24 3 2 0"}
    file = tmp_path / "simple.txt"
    file.write_text("".join(f"{word} {row}\n" for word, row in rows.items()), encoding="utf-8")
    return str(file)


def test_thresholds_are_inclusive_and_a_tie_goes_to_the_first(tmp_path: Path):
    file = simple(tmp_path)
    assert judged("a", "b", "f", "e", "d c", "c d", by="max", vectors=file) == [
        figures(0.25, 1), figures(-0.25, -1), figures(0.24, 0), figures(0, 0), figures(-0.6, -1), figures(0.6, 1)
    ]  # fmt: skip


def test_tokens_count_not_types(tmp_path: Path):
    file = simple(tmp_path)
    assert judged("c a a", "c a", "e e", by="average", vectors=file) == [
        figures((0.36 + 2 * 0.0625) / (0.6 + 0.5), 1), figures((0.36 + 0.0625) / 0.85, 1), figures(0, 0)
    ]  # fmt: skip


def test_unknown_words_are_passed_over_and_alone_are_a_failure(tmp_path: Path):
    file = simple(tmp_path)
    assert judged("xyzzy c", "xyzzy", "zero?", by="max", vectors=file) == [figures(0.6, 1), NONE, NONE]


def test_the_first_of_words_that_are_one_token_counts_unless_one_is_written_so(tmp_path: Path):
    file = tmp_path / "v.txt"
    file.write_text("she 1 0\nhe -1 0\nAnn 0.6 0.8\nANN -0.6 0.8\nBOB 0.6 0.8\nbob -0.6 0.8\nbob 1 0\n", encoding="utf-8")
    assert judged("ann", "bob", by="max", vectors=str(file)) == [figures(0.6, 1), figures(-0.6, -1)]


def test_several_pairs_make_one_direction(path: Path):
    words = numbers()
    total = unit(words["she"]) - unit(words["he"]) + unit(words["woman"]) - unit(words["man"])
    b = float(unit(total) @ unit(words["nurse"]))
    (row,) = judged("nurse", by="max", vectors=str(path), definitional="she-he+woman-man")
    assert row["polarity"] == pytest.approx(b, abs=1e-6)


def test_the_whole_text_is_prompt_and_continuation():
    whole = polarity.prepare({**polarity.OPTIONS, "part": "whole"}, Room())
    said = Said(prompt="The girl and the man", continuation="she met")
    assert whole.judge([said]) == [figures(1 / 3, 1)]
    assert whole.reads(said) == ("The girl and the man", "she met")
    assert judged("she met", prompt="The man") == [figures(1, 1)]
    assert whole.judge([Said(prompt="The man", continuation=" ")]) == [{FAILED: "the continuation is empty"}]


def test_the_file_is_read_when_first_asked_and_once(path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(polarity, "projections", lambda *a: calls.append(a) or projections(*a))
    judge = polarity.prepare({**polarity.OPTIONS, "by": "max", "vectors": str(path)}, Room())
    assert not calls
    for _ in range(3):
        judge.judge([Said(prompt="", continuation="nurse")])
    assert len(calls) == 1


def test_the_identity_holds_what_changes_a_judgement(path: Path):
    def identity(**options: object) -> dict:
        return dict(polarity.prepare({**polarity.OPTIONS, **options}, Room()).identity)

    file = str(path)
    found = [
        identity(), identity(part="whole"), identity(by="max", vectors=file), identity(by="average", vectors=file),
        identity(by="max", vectors=file, definitional="woman-man"),
    ]  # fmt: skip
    assert all(found.count(one) == 1 for one in found)
    assert len(found[2]["vectors_sha256"]) == 64 and found[2]["definitional"] == [["she", "he"]]
    path.write_bytes(glove(numbers(1)))
    assert identity(by="max", vectors=file) != found[2]


def test_options_that_do_not_go_together(path: Path):
    with pytest.raises(DataAbsent, match=r"needs word vectors.*debiaswe"):
        judged("a", by="max")
    for wrong in ({"vectors": str(path)}, {"definitional": "woman-man"}):
        with pytest.raises(FairbenchError, match="reads no vectors then"):
            judged("a", **wrong)
    with pytest.raises(FairbenchError, match="there is no such file"):
        judged("a", by="max", vectors="nowhere.txt")
    with pytest.raises(FairbenchError, match="Did you mean average"):
        judged("a", by="averag", vectors=str(path))
    for written in ("she", "she-he-it", "she-", ""):
        with pytest.raises(FairbenchError, match=r"she-he\+woman-man"):
            judged("a", by="max", vectors=str(path), definitional=written)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("v.txt", b"she 1 0\nhe -1\n", "line 2 has no word with 2 numbers"),
        ("v.txt", b"3 2\nshe 1 0\nhe -1 0\n", "names 3 words, and it holds 2"),
        ("v.txt", b"2 2\nshe 1 0\nhe -1 x\n", "line 3 has something that is no number"),
        ("v.txt", b"she 1 0\nhe nan 0\n", "line 2 has something that is no number"),
        ("v.txt", b"she 1 0\nhe  0\n", "lines from 1 on can't be read"),
        ("v.txt", b"", "its first line"),
        ("v.txt", b"she\nhe\n", "its first line"),
        ("v.txt", b"she 1 0\nit 0 1\n", "have none for he"),
        ("v.txt", b"she 1 0\nhe 0 0\n", "have none for he"),
        ("v.txt", b"she 1 0\nhe 2 0\n", "give no direction"),
        ("v.txt.gz", gzip.compress(b"she 1 0\nhe -1 0\n", mtime=0)[:-9], "can't be read to its end"),
        ("v.txt.gz", b"she 1 0\nhe -1 0\n", "can't be read to its end"),
        ("v.bin", b"she 1 0\n", "counts of words and dimensions"),
        ("v.bin", binary(numbers())[:-30], "names 13 words, and it holds 12"),
        ("v.bin", binary({**numbers(), "he": np.full(7, np.inf)}), "something that is no number"),
        ("v.npz", b"PK", "is not read"),
        ("v.safetensors", b"", "is not read"),
    ],
)
def test_a_file_that_is_none_is_refused(name: str, content: bytes, said: str, tmp_path: Path):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(FairbenchError, match=said):
        judged("a text", by="max", vectors=str(file))

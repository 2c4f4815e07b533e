"""Lists of words, where they stand in a text, and what they have in common in the word embeddings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.models.tokens import encode
from fairbench.probes.protected import Words, direction, lists, of_likeness, of_words, read_words

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

SOME = Words(frozenset({("she",), ("woman",), ("african", "american"), ("man",), ("cafe",), ("o'brien",)}))


def marked(text: str, words: Words = SOME, tokenizer: object = None) -> str:
    """The characters of the pieces that are protected."""
    encoded = encode(tokenizer or tiny.wordpiece(), text, special=True)
    weights = of_words(encoded, words)
    assert set(weights) <= {0.0, 1.0}
    return "|".join(text[slice(*encoded.offsets[i])] for i, weight in enumerate(weights) if weight)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("She said it.", "She"),
        ("SHE", "SHE"),
        ("The sheep", ""),
        ("the woman's river, the man’s river", "woman|man"),
        ("'she' and “woman”", "she|woman"),
        ("woman-made", "woman"),
        ("Café", "Café"),
        ("O’Brien O'Brien's", "O’Brien|O'Brien"),
    ],
)
def test_whole_words_in_lower_case(text: str, found: str):
    class Whole:
        """A tokenizer of whole words and marks, so that what is found shows as it stands in the text."""

        is_fast = True

        def __call__(self, text: str, **_: object) -> dict[str, list[object]]:
            import re

            offsets = [match.span() for match in re.finditer(r"(?:O[’']Brien)|\w+|\S", text)]
            return {"input_ids": list(range(len(offsets))), "offset_mapping": offsets, "special_tokens_mask": [0] * len(offsets)}

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return ["x"] * len(ids)

    assert marked(text, tokenizer=Whole()) == found


@pytest.mark.parametrize("build", ["wordpiece", "byte_level_bpe", "unigram"])
def test_all_pieces_of_a_word(build: str):
    text = "Is that woman an African-American or an african american, not African, American?"
    found = marked(text, tokenizer=getattr(tiny, build)())
    assert found.replace("|", "").replace(" ", "").lower() == "womanafrican-americanafricanamerican"


def test_the_lists_of_the_package():
    known = lists()
    assert {"gender", "race", "religion", "disability"} <= set(known)
    assert (("he",), ("she",)) in known["gender"].pairs
    assert {("woman",), ("his",)} <= known["gender"].phrases
    assert not {("dame",), ("host",), ("poet",)} & known["gender"].phrases, "titles, and words that tell nothing"
    assert ("african", "american") in known["race"].phrases and not known["race"].pairs
    assert ("middle", "aged") in known["age"].phrases
    assert read_words("race") == known["race"]


def test_a_file_of_words(tmp_path: Path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeffShe\n\nAfrican American\nhe, she\nMan\tWoman\n", encoding="utf-8")
    found = read_words(str(path))
    assert found.phrases == {("she",), ("african", "american"), ("he",), ("man",), ("woman",)}
    assert found.pairs == ((("he",), ("she",)), (("man",), ("woman",)))
    other = tmp_path / "others.txt"
    other.write_text("African American\nhe,she\nman,woman\n", encoding="utf-8")
    assert read_words(str(other)).sha256 == found.sha256
    other.write_text("African American\nman,woman\n", encoding="utf-8")
    assert read_words(str(other)).sha256 != found.sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"he, she, they\n", "line 1: found 3 words, wanted one, or two"),
        (b"\n ,\n", "the file holds no word"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(FairbenchError, match=message):
        read_words(str(path))


def test_a_name_that_is_none():
    with pytest.raises(
        FairbenchError, match=r"words=religions: there is no such file, nor a list of that name. Did you mean religion"
    ):
        read_words("religions")


class Network:
    """Word embeddings of four entries."""

    def __init__(self, size: int) -> None:
        self.words = torch.nn.Embedding.from_pretrained(torch.randn(size, 4, generator=torch.Generator().manual_seed(0)))

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.words


@pytest.mark.parametrize("build", ["wordpiece", "byte_level_bpe", "unigram"])
def test_the_direction_of_pairs(build: str):
    tokenizer = getattr(tiny, build)()
    network = Network(len(tokenizer))
    matrix = network.words.weight.numpy()

    def mean(word: str) -> np.ndarray:
        ids = tokenizer(f"x {word}", add_special_tokens=False)["input_ids"]
        return matrix[ids[len(tokenizer("x", add_special_tokens=False)["input_ids"]) :]].mean(0)

    words = Words(frozenset(), ((("he",), ("she",)), (("doctor",), ("nurse",))))
    found = direction(network, tokenizer, words)
    wanted = (mean("he") - mean("she") + mean("doctor") - mean("nurse")) / 2
    assert found.vector.tolist() == pytest.approx((wanted / np.linalg.norm(wanted)).tolist(), rel=1e-5)
    encoded = encode(tokenizer, "The nurse said", special=False)
    cosine = [matrix[i] @ wanted / np.linalg.norm(matrix[i]) / np.linalg.norm(wanted) for i in encoded.ids]
    assert of_likeness(encoded, network, found) == pytest.approx(np.abs(cosine).tolist(), rel=1e-5)


def test_the_centroid_of_words_without_pairs():
    tokenizer = tiny.wordpiece()
    network = Network(len(tokenizer))
    matrix = network.words.weight.numpy()
    found = direction(network, tokenizer, Words(frozenset({("nurse",), ("doctor",)})))
    wanted = matrix[tokenizer.convert_tokens_to_ids(["nurse", "doctor"])].mean(0)
    encoded = encode(tokenizer, "The nurse said that she was late", special=False)
    cosine = [matrix[i] @ wanted / np.linalg.norm(matrix[i]) / np.linalg.norm(wanted) for i in encoded.ids]
    assert min(cosine) < 0 < max(cosine)
    assert of_likeness(encoded, network, found) == pytest.approx(np.maximum(cosine, 0).tolist(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("words", [Words(frozenset({("她",)})), Words(frozenset(), ((("he",), ("he",)),))])
def test_words_that_give_no_direction(words: Words):
    tokenizer = tiny.wordpiece()
    with pytest.raises(FairbenchError, match="give no direction in the word embeddings"):
        direction(Network(len(tokenizer)), tokenizer, words)


def test_pairs_with_an_unknown_side_are_not_taken():
    tokenizer = tiny.wordpiece()
    network = Network(len(tokenizer))
    with_unknown = Words(frozenset(), ((("he",), ("she",)), (("他",), ("she",))))
    plain = Words(frozenset(), ((("he",), ("she",)),))
    found, wanted = (direction(network, tokenizer, words).vector for words in (with_unknown, plain))
    assert torch.equal(found, wanted)

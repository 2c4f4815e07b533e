from __future__ import annotations

import functools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers

from fairbench.counterfactual import roles
from fairbench.errors import FairbenchError
from fairbench.mitigation.vocabulary import Seen, VocabularyMap, gendered_mass, map_back, vocabulary_map

PLANTED = Path(roles.__file__).parents[1] / "planted" / "models"
PRONOUNS = (("he", "she"), ("him", "her"), ("his", "hers"), ("his", "her"))
HE, SHE, HIM, HIS, HER, HERS = range(6)
BOTH = VocabularyMap((((HE,), (SHE,)), ((HIM, HIS), (HER, HERS))))
"""Of a vocabulary of eight: two tokens are no gendered words."""


@functools.cache
def planted(name: str) -> Any:
    return transformers.AutoTokenizer.from_pretrained(PLANTED / f"{name}-0.5")


def toy(*entries: str, lower: bool = False) -> Any:
    """A tokenizer with these entries as its vocabulary, numbered in order."""
    made = Tokenizer(models.BPE({entry: number for number, entry in enumerate(entries)}, []))
    if lower:
        made.normalizer = normalizers.Lowercase()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made)


def seen(**counts: tuple[int, int]) -> Seen:
    """What was seen of tokens t0, t1, ...: (whole, parts)."""
    made = Seen()
    for token, (whole, parts) in counts.items():
        for text, times in (("a", whole), ("ab", parts)):
            made.add([int(token[1:])] * times, [(0, 1)] * times, text)
    return made


def log_probabilities(rows: int, width: int = 8, seed: int = 0, kind: torch.dtype = torch.float64) -> torch.Tensor:
    return (3 * torch.randn(rows, width, dtype=kind, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)


@pytest.mark.parametrize(
    ("entries", "blocks", "words"),
    [
        (["Ġhe", "Ġshe", "he", "she", "the"], (((0,), (1,)),), (((" he",), (" she",)),)),
        (["Ġhe", "ĠHe", "ĠShe", "Ġshe"], (((0,), (3,)), ((1,), (2,))), (((" he",), (" she",)), ((" He",), (" She",)))),
        (["▁his", "▁her", "▁him", "▁hers"], (((0, 2), (1, 3)),), (((" his", " him"), (" her", " hers")),)),
        (["▁him", "▁HER", "▁HIM"], (((2,), (1,)),), (((" HIM",), (" HER",)),)),
        (["he", "##he", "##she", "She", "she"], (((0,), (4,)),), ((("he",), ("she",)),)),
        (["Ġhe", "she", "▁she"], (), ()),
    ],
)
def test_tokens_are_found_as_the_vocabulary_writes_them(entries, blocks, words):
    found = vocabulary_map(toy(*entries), PRONOUNS)
    assert (found.blocks, found.words) == (blocks, words)


def test_bytes_of_other_letters_are_found():
    assert vocabulary_map(toy("ĠfiancÃ©", "ĠfiancÃ©e"), [("fiancé", "fiancée")]).blocks == (((0,), (1,)),)


def test_capitals_are_one_form_where_the_tokenizer_lowers_them():
    found = vocabulary_map(toy("mr", "mrs", "##s", lower=True), [("Mr", "Mrs"), ("he", "she")])
    assert found.blocks == (((0,), (1,)),)
    assert found.left_out == {"he-she": "neither is a single token"}


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_planted_tokenizers(name: str):
    found = vocabulary_map(planted(name), roles.gender().rows)
    mark = " " if name == "causal" else ""
    assert ((mark + "he",), (mark + "she",)) in found.words
    block = next(block for words, block in zip(found.words, found.blocks, strict=True) if f"{mark}her" in words[1])
    for side, words in zip(block, (("him", "his"), ("her", "hers")), strict=True):
        assert set(side) == {planted(name).encode(mark + word, add_special_tokens=False)[0] for word in words}
    assert found.left_out["king-queen"] == "neither is a single token"
    assert len(set(found.ids)) == len(found.ids)


def test_real_tokenizer_of_gpt2(real: Path):
    folder = real / "models" / "gpt2_tokenizer"
    tokenizer: Any = transformers.GPT2Tokenizer(vocab=str(folder / "gpt2_vocab.json"), merges=str(folder / "gpt2_merges.txt"))
    found = vocabulary_map(tokenizer, roles.gender().rows)
    for male, female in (("he", "she"), ("He", "She"), ("man", "woman"), ("king", "queen")):
        assert ((tokenizer.encode(f" {male}")[0],), (tokenizer.encode(f" {female}")[0],)) in found.blocks
    assert all(tokenizer.decode([token]).startswith(" ") for token in found.ids)


@pytest.mark.parametrize(
    ("pairs", "counts", "blocks", "left_out"),
    [
        ([("he", "she")], {"t0": (9, 1), "t1": (10, 0)}, (((0,), (1,)),), {}),
        (
            [("he", "she")],
            {"t0": (8, 2), "t1": (10, 0)},
            (),
            {"he-she": '" he" is a whole word in 80.0% of its 10 occurrences'},
        ),
        (
            [("he", "she")],
            {"t0": (1, 3), "t1": (0, 2)},
            (),
            {
                "he-she": '" he" is a whole word in 25.0% of its 4 occurrences and '
                '" she" is a whole word in 0.0% of its 2 occurrences'
            },
        ),
        ([("he", "she")], {}, (((0,), (1,)),), {}),
        ([("he", "she")], {"t2": (5, 0), "t3": (5, 0)}, (((0,), (1,)), ((2,), (3,))), {}),
        ([("he", "she")], {"t2": (5, 0)}, (((0,), (1,)),), {"he-she": '"she" was never seen'}),
        (
            [("him", "her"), ("his", "her")],
            {"t4": (1, 9)},
            (((5,), (6,)),),
            {"him-her": '" him" is a whole word in 10.0% of its 10 occurrences'},
        ),
        ([("his", "hers")], {}, (), {"his-hers": '" hers" is no single token'}),
    ],
)  # fmt: skip
def test_what_a_corpus_tells(pairs, counts, blocks, left_out):
    tokenizer = toy("Ġhe", "Ġshe", "he", "she", "Ġhim", "Ġhis", "Ġher")
    found = vocabulary_map(tokenizer, pairs, seen(**counts))
    assert (found.blocks, found.left_out) == (blocks, left_out)


def test_the_least_share_is_an_option():
    tokenizer, counts = toy("Ġhe", "Ġshe"), seen(t0=(1, 1))
    assert vocabulary_map(tokenizer, PRONOUNS[:1], counts, 0.5).blocks
    assert not vocabulary_map(tokenizer, PRONOUNS[:1], counts, 0.51).blocks


def test_the_order_of_the_pairs_does_not_matter():
    rows = roles.gender().rows
    there, back = (vocabulary_map(planted("causal"), pairs) for pairs in (rows, rows[::-1]))
    assert set(there.blocks) == set(back.blocks)
    assert there.left_out == back.left_out


@pytest.mark.parametrize(
    ("tokenizer", "pairs", "told"),
    [
        (toy("Ġhe", "Ġshe"), [("he", "she"), ("she", "he")], '"(he|she)" stands on both sides'),
        (toy("Ġit"), [("it", "it")], '"it" stands on both sides'),
        (toy("he", "she"), [("he", "she")], "marks beginnings of words in none of the ways"),
        (SimpleNamespace(is_fast=False), [("he", "she")], "slow tokenizer"),
    ],
)
def test_what_is_refused(tokenizer, pairs, told):
    with pytest.raises(FairbenchError, match=told):
        vocabulary_map(tokenizer, pairs)


WORDS = ("he", "she", "help", "man", "manage", "ahead", "Él", "she's", "(he)", "mother-in-law", "x1", "-", "fiancée")


@pytest.mark.parametrize("name", ["causal", "masked"])
@given(text=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join))
@settings(max_examples=30, deadline=None)
def test_whole_words_against_a_pattern(name: str, text: str):
    coded = planted(name)(text, return_offsets_mapping=True)
    made = Seen()
    made.add(coded["input_ids"], coded["offset_mapping"], text)
    spans = [(token, span) for token, span in zip(coded["input_ids"], coded["offset_mapping"], strict=True) if span[1] > span[0]]
    words = {met.span() for met in re.finditer(r"[^\W_]+", text)}
    for token in {token for token, _ in spans}:
        own = [(a + text[a].isspace(), b) for number, (a, b) in spans if number == token]
        assert made.occurrences(token) == len(own)
        assert made.share_whole(token) == pytest.approx(sum(span in words for span in own) / len(own))


def test_tokens_without_characters_are_not_counted():
    made = Seen()
    made.add([5, 6], [(0, 0), (1, 1)], "he")
    assert made.occurrences(5) == made.occurrences(6) == 0
    assert made.share_whole(5) != made.share_whole(5)  # NaN


def test_a_map_by_hand():
    original = torch.tensor([0.1, 0.1, 0.3, 0.1, 0.02, 0.08, 0.2, 0.1]).log()[None]
    counterfactual = torch.tensor([0.05, 0.15, 0.1, 0.1, 0.06, 0.14, 0.3, 0.1]).log()[None]
    # {him, his} get .06 + .14, three to one as in the original; {her, hers} get .1 + .1, one to four
    wanted = [0.15, 0.05, 0.15, 0.05, 0.04, 0.16, 0.3, 0.1]
    assert map_back(counterfactual, original, BOTH).exp()[0].tolist() == pytest.approx(wanted)
    assert gendered_mass(counterfactual, BOTH).tolist() == pytest.approx([0.6])


def test_hers_is_not_counted_twice():
    """Where her takes over him and his, and hers takes over his once more, the whole is 1.15."""
    probabilities = torch.tensor([0.1, 0.1, 0.2, 0.15, 0.2, 0.05, 0.1, 0.1])
    naive = probabilities.clone()
    naive[[HIM, HIS]] *= (probabilities[HER] + probabilities[HERS]) / (probabilities[HIM] + probabilities[HIS])
    naive[HER], naive[HERS] = probabilities[HIM] + probabilities[HIS], probabilities[HIS]
    assert naive.sum().item() == pytest.approx(1.15)
    log_p = probabilities.log()[None]
    mapped = map_back(log_p, log_p, BOTH).exp()[0]
    assert mapped.sum().item() == pytest.approx(1)
    assert mapped[[HER, HERS]].tolist() == pytest.approx([0.35 * 0.8, 0.35 * 0.2])


def random_map(width: int, seed: int) -> VocabularyMap:
    order = torch.randperm(width, generator=torch.Generator().manual_seed(seed)).tolist()
    blocks = []
    for males, females in ((1, 1), (2, 1), (1, 1), (3, 2), (1, 4)):
        taken = [order.pop() for _ in range(males + females)]
        blocks.append((tuple(taken[:males]), tuple(taken[males:])))
    return VocabularyMap(tuple(blocks))


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_or_made(seed: int):
    original, counterfactual = (log_probabilities(7, 40, 2 * seed + which) for which in (0, 1))
    own = random_map(40, seed)
    mapped, p_o, p_c = (log_p.exp() for log_p in (map_back(counterfactual, original, own), original, counterfactual))
    torch.testing.assert_close(mapped.sum(-1), torch.ones(7, dtype=torch.float64))
    others = [token for token in range(40) if token not in own.ids]
    assert torch.equal(mapped[:, others], p_c[:, others])
    for sides in own.blocks:
        for side, other in (sides, sides[::-1]):
            side, other = list(side), list(other)
            torch.testing.assert_close(mapped[:, side].sum(-1), p_c[:, other].sum(-1))
            torch.testing.assert_close(mapped[:, side] / mapped[:, side].sum(-1, True), p_o[:, side] / p_o[:, side].sum(-1, True))


def test_constants_of_a_row_pass_through():
    original, counterfactual = log_probabilities(3), log_probabilities(3, seed=1)
    shifted = map_back(counterfactual + 5, original - 7, BOTH)
    torch.testing.assert_close(shifted, map_back(counterfactual, original, BOTH) + 5)


@pytest.mark.parametrize("own", [BOTH, VocabularyMap((((0,), (1,)),)), VocabularyMap((((0,), (1, 2)),)), VocabularyMap(())])
def test_gradients(own: VocabularyMap):
    pair = [log_probabilities(2, seed=seed).requires_grad_() for seed in (0, 1)]
    assert torch.autograd.gradcheck(lambda c, o: map_back(c, o, own), pair)


def test_an_empty_map_leaves_all_as_it_is():
    log_p = log_probabilities(3)
    assert torch.equal(map_back(log_p, log_p, VocabularyMap(())), log_p)
    assert gendered_mass(log_p, VocabularyMap(())).tolist() == [0, 0, 0]


def test_a_map_of_another_vocabulary_is_refused():
    with pytest.raises(FairbenchError, match="names token 5, but the model gives probabilities for 4 tokens"):
        map_back(log_probabilities(1, 4), log_probabilities(1, 4), BOTH)

"""What is drawn: the numbers, the tokens that are kept, and the distribution, against plain loops, transformers and SciPy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.models import drawing
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.drawing import TRIES, draw, likeliest, uniforms
from fairbench.models.generating import generate, prompt_ids

SPEC = importlib.util.spec_from_file_location("written", Path(__file__).with_name("written.py"))
written = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(written)

JUST_BELOW_1 = 1 - 2.0**-53


def test_numbers_follow_from_seed_and_key_alone() -> None:
    first = uniforms(0, "a/0", 20)
    assert first.shape == (20, TRIES)
    assert np.array_equal(first[:7], uniforms(0, "a/0", 7)), "a longer text begins as a shorter one"
    others = [uniforms(1, "a/0", 20), uniforms(0, "a/1", 20), uniforms(0, "b/0", 20), uniforms(0, "", 20)]
    assert all(not np.isin(first, other).any() for other in others)
    assert not np.array_equal(uniforms(1, "1", 5), uniforms(11, "", 5))
    # Known numbers: a change would write other texts under the same seed.
    assert first[0, :3] == pytest.approx([0.6343826048, 0.6292725662, 0.5081602691], abs=1e-9)


def test_numbers_are_uniform_over_keys_tokens_and_tries() -> None:
    table = np.array([uniforms(3, f"{i}/0", 3).ravel() for i in range(2000)])
    assert table.min() >= 0 and table.max() < 1
    for column in table.T:
        assert scipy.stats.kstest(column, "uniform").pvalue > 1e-4
    neighbours = np.corrcoef(table[:, 0], table[:, 1])[0, 1], np.corrcoef(table[:-1, 0], table[1:, 0])[0, 1]
    assert np.abs(neighbours).max() < 0.08


@pytest.mark.parametrize(
    ("by_numpy", "few"), [(("cpu",), 4096), (("cpu",), 0), ((), 0)], ids=["few tokens", "many tokens", "on another device"]
)
def test_a_draw_is_the_inverse_of_the_summed_probabilities(
    by_numpy: tuple[str, ...], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "BY_NUMPY", by_numpy)
    monkeypatch.setattr(drawing, "FEW", few)
    random = np.random.default_rng(4)
    for trial in range(100):
        size = int(random.integers(1, 1200))
        logits = random.normal(size=(8, size)) * random.uniform(0.1, 6)
        if trial % 3 == 0:
            logits = np.round(logits, 1)  # many are equal
        if trial % 5 == 0 and size > 4:
            logits[:, :: int(random.integers(2, 4))] = -np.inf
        decoding = Decoding(
            temperature=random.uniform(0.3, 2),
            top_k=int(random.choice([0, 1, 3, 40, size, size + 9])),
            top_p=float(random.choice([1, 0.9, 0.5, 1e-6, random.uniform(0.01, 1)])),
        )
        numbers = random.random((8, TRIES))
        numbers[:2] = [[0], [JUST_BELOW_1]]
        found = draw(torch.tensor(logits), numbers, decoding).tolist()
        assert found == [written.drawn_plainly(row, u, decoding) for row, u in zip(logits, numbers, strict=True)]


@pytest.mark.parametrize("few", [4096, 0])
def test_rows_do_not_know_of_each_other(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FEW", few)
    random = np.random.default_rng(6)
    logits, numbers = torch.tensor(random.normal(size=(300, 3000)) * 2).float(), random.random((300, TRIES))
    decoding = Decoding(top_p=0.8)
    found = draw(logits, numbers, decoding)  # more than one chunk
    order = random.permutation(300)
    assert torch.equal(draw(logits[order], numbers[order], decoding), found[order])
    assert torch.equal(torch.cat([draw(logits[i : i + 1], numbers[i : i + 1], decoding) for i in range(300)]), found)


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(0.7, 0, 0.9), (1.0, 12, 1.0), (1.5, 20, 0.6), (1.0, 0, 0.02)])
def test_the_tokens_that_are_drawn_and_how_often_are_those_of_transformers(temperature: float, top_k: int, top_p: float) -> None:
    random = np.random.default_rng(8)
    decoding = Decoding(temperature=temperature, top_k=top_k, top_p=top_p)
    for spread in (0.2, 0.7, 2.0):
        logits = torch.tensor(random.normal(size=(1, 60)) * spread)
        kept = transformers.TemperatureLogitsWarper(temperature)(None, logits)
        kept = transformers.TopKLogitsWarper(top_k)(None, kept) if top_k else kept
        kept = transformers.TopPLogitsWarper(top_p)(None, kept) if top_p < 1 else kept
        shares = torch.softmax(kept, -1)[0].numpy()
        assert shares == pytest.approx(written.kept_plainly(logits[0].numpy(), decoding))
        count = 6000
        drawn = np.bincount(draw(logits.expand(count, -1), random.random((count, TRIES)), decoding).numpy(), minlength=60)
        assert drawn[shares == 0].sum() == 0 and (drawn[count * shares > 12] > 0).all()
        if (shares > 0).sum() > 1:
            assert scipy.stats.chisquare(drawn[shares > 0], count * shares[shares > 0]).pvalue > 1e-3


@pytest.mark.parametrize("top_k", [1, 3])
def test_the_distribution_is_exact_where_most_draws_are_given_back(top_k: int) -> None:
    """Of 200 tokens three are kept: hardly ever is one of them drawn before the last try."""
    logits = torch.linspace(0, 0.5, 200)[None]
    found = draw(logits.expand(3000, -1), np.random.default_rng(1).random((3000, TRIES)), Decoding(top_k=top_k))
    drawn = np.bincount(found.numpy(), minlength=200)
    assert drawn[: 200 - top_k].sum() == 0
    shares = torch.softmax(logits[0, -top_k:], 0).numpy()
    assert top_k == 1 or scipy.stats.chisquare(drawn[-top_k:], 3000 * shares / shares.sum()).pvalue > 1e-3


def test_half_and_a_quarter_hold_three_quarters() -> None:
    logits = torch.log(torch.tensor([[0.125, 0.5, 0.125, 0.25]])).expand(200, -1)
    numbers = np.random.default_rng(2).random((200, TRIES))
    assert set(draw(logits, numbers, Decoding(top_p=0.75)).tolist()) == {1, 3}
    assert set(draw(logits, numbers, Decoding(top_p=0.76)).tolist()) == {0, 1, 3}, "of equal ones the first"
    assert set(draw(logits, numbers, Decoding(top_k=3)).tolist()) == {0, 1, 3}
    last = np.ones((200, TRIES)) * JUST_BELOW_1
    last[:, -1] = np.linspace(0, JUST_BELOW_1, 200)
    logits = torch.log(torch.tensor([[0.125, 0.5, 0.125, 0.25, 0.125]])).expand(200, -1)
    assert set(draw(logits, last, Decoding(top_k=3)).tolist()) == {0, 1, 3}, "nor in the last try"


def test_the_rounding_of_another_batch_moves_hardly_a_token() -> None:
    """It makes another token the last one in the nucleus. Summing up only what is kept would move 18 of these tokens."""
    random = np.random.default_rng(3)
    logits = random.normal(size=(600, 4500)) * 0.4
    moved = logits + random.normal(size=logits.shape) * 1e-4
    numbers = random.random((600, TRIES))
    found, again = (draw(torch.tensor(x), numbers, Decoding(top_p=0.9)) for x in (logits, moved))
    assert (found != again).sum() <= 5


def test_the_likeliest_of_equal_tokens_is_the_first() -> None:
    assert likeliest(torch.tensor([[1.0, 3.0, 3.0], [2.0, -1.0, 2.0]])).tolist() == [1, 0]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_p": 0.7}, {"top_k": 5, "temperature": 1.4}], ids=str)
def test_first_tokens_of_many_keys_have_the_distribution_of_the_network(options: dict[str, float]) -> None:
    model, count = written.gpt2(), 2000
    decoding = Decoding(max_new_tokens=1, **options)
    keys = [Wish("The nurse said that", f"{i}/0") for i in range(count)]
    ids = torch.tensor([prompt_ids(model, keys[0].prompt, 1)])
    with torch.inference_mode():
        logits = model.network(ids).logits[0, -1].double().numpy()
    shares = written.kept_plainly(logits, decoding)
    names = {model.tokenizer.decode([*ids[0].tolist(), i], skip_special_tokens=True)[19:]: 0 for i in range(400)}
    for item in generate(model, keys, decoding, Batching()):
        names[item.text] += 1
    wanted = dict.fromkeys(names, 0.0)  # several tokens may read alike
    for i, share in enumerate(shares):
        wanted[model.tokenizer.decode([*ids[0].tolist(), i], skip_special_tokens=True)[19:]] += count * share
    seen, expected = (np.array([table[name] for name in names]) for table in (names, wanted))
    assert seen[expected == 0].sum() == 0, "nothing beyond what top-k and top-p keep"
    rare = expected < 8
    if expected[rare].sum():
        seen, expected = (np.append(x[~rare], x[rare].sum()) for x in (seen, expected))
    else:
        seen, expected = seen[~rare], expected[~rare]
    assert len(seen) > 3
    assert scipy.stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"temperature": 0.0}, "greedy"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "above 0"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "at most 1"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"stop": ("a", "")}, "not empty"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(FairbenchError, match=named):
        Decoding(**options)

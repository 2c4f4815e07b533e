from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.errors import FairbenchError
from fairbench.models.batching import BUDGETS, Batching, batches, heeds_length, parse_batch_size

LENGTHS = st.lists(st.integers(0, 300), max_size=60)


@given(LENGTHS, st.integers(1, 500))
def test_budget_is_kept_and_every_index_comes_once(lengths, budget):
    cut = list(batches(lengths, budget))
    assert sorted(i for batch in cut for i in batch) == list(range(len(lengths)))
    for batch in cut:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@given(LENGTHS, st.integers(1, 20))
def test_rows_are_kept_and_every_index_comes_once(lengths, rows):
    cut = list(batches(lengths, 1, rows))
    assert sorted(i for batch in cut for i in batch) == list(range(len(lengths)))
    assert all(len(batch) == rows for batch in cut[:-1])
    assert all(1 <= len(batch) <= rows for batch in cut)


@given(LENGTHS, st.integers(1, 500))
def test_longest_come_first_and_ties_keep_their_order(lengths, budget):
    order = [i for batch in batches(lengths, budget) for i in batch]
    assert order == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


@given(LENGTHS, st.integers(1, 500))
def test_no_batch_could_take_the_next_input(lengths, budget):
    cut = list(batches(lengths, budget))
    for batch in cut[:-1]:
        assert (len(batch) + 1) * max(1, *(lengths[i] for i in batch)) > budget


@given(LENGTHS, st.integers(1, 500))
def test_equal_lengths(lengths, budget):
    cut = list(batches(lengths, budget, equal=True))
    assert [i for batch in cut for i in batch] == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    assert all(len({lengths[i] for i in batch}) == 1 for batch in cut)
    assert all(len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget for batch in cut)


def test_by_hand():
    assert list(batches([3, 9, 4, 1, 4], 12)) == [[1], [2, 4, 0], [3]]
    assert list(batches([], 12)) == []


def test_senseless_budget():
    with pytest.raises(ValueError, match="positive"):
        list(batches([1], 0))


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [("auto", Batching()), ("auto:4", Batching()), ("16", Batching(rows=16)), (16, Batching(rows=16))],
)
def test_parse(given_, wanted):
    assert parse_batch_size(given_) == wanted


@pytest.mark.parametrize("bad", ["", "0", "-1", "fast", "auto:", "auto:0", "auto:x", "4:2", "1.5"])
def test_parse_refuses(bad):
    with pytest.raises(FairbenchError, match="neither auto"):
        parse_batch_size(bad)


def test_budget_of_the_device():
    lengths = [64] * 2 * (BUDGETS["cpu"] // 64)
    assert [len(b) for b in Batching().cut(lengths, "cpu")] == [BUDGETS["cpu"] // 64] * 2
    assert [len(b) for b in Batching().cut(lengths, "cuda")] == [len(lengths)]
    assert [len(b) for b in Batching().cut(lengths, "unheard of")] == [BUDGETS["cpu"] // 64] * 2
    assert [len(b) for b in Batching(budget=128).cut(lengths[:3], "cpu")] == [2, 1]
    assert [len(b) for b in Batching().cut(lengths[:3], "cpu", most=130)] == [2, 1]


def test_lengths_that_scale_positions():
    for rope, wanted in (
        (None, False),
        ({"rope_type": "llama3", "factor": 8.0}, False),
        ({"rope_type": "longrope", "factor": 8.0}, True),
        ({"type": "dynamic", "factor": 2.0}, True),
        ({"full_attention": {"rope_type": "dynamic"}, "sliding_attention": {"rope_type": "default"}}, True),
    ):
        config = SimpleNamespace(rope_parameters=rope)
        config.get_text_config = lambda config=config: config
        assert heeds_length(SimpleNamespace(config=config)) is wanted

"""Token log-probabilities of causal models against the plainest forward pass, for every way in which they are found."""

from __future__ import annotations

import dataclasses
import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models

from fairbench.models import causal, heads
from fairbench.models.batching import Batching, forget_lengths
from fairbench.models.causal import Text, engine_of, pack, token_log_probabilities
from fairbench.models.model import Model, ModelCard

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def model_of(network: torch.nn.Module, spread: float = 0.3) -> Model:
    """A random network whose logits differ by nats, so that a wrong mask or position shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
    tokenizer = tiny.byte_level_bpe()
    card = ModelCard(name="tiny", folder="", kind="causal", architecture=type(network).__name__, start_rule="bos")
    return Model(card=card, network=network.eval(), tokenizer=tokenizer, device=torch.device("cpu"))


def gpt2(**options: object) -> transformers.GPT2LMHeadModel:
    config = transformers.GPT2Config(vocab_size=400, n_positions=300, n_embd=32, n_layer=2, n_head=4, **options)
    return transformers.GPT2LMHeadModel(config)


def llama() -> transformers.LlamaForCausalLM:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=400, num_key_value_heads=2, **SMALL))


def gemma2() -> transformers.Gemma2ForCausalLM:
    """Soft caps on logits and on attention, and layers of local attention that reach 25 tokens back."""
    config = transformers.Gemma2Config(
        vocab_size=400, num_key_value_heads=2, head_dim=8, sliding_window=25, final_logit_softcapping=2.0, **SMALL
    )
    return transformers.Gemma2ForCausalLM(config)


def cohere() -> transformers.CohereForCausalLM:
    return transformers.CohereForCausalLM(transformers.CohereConfig(vocab_size=400, logit_scale=0.25, **SMALL))


def mistral() -> transformers.MistralForCausalLM:
    return transformers.MistralForCausalLM(
        transformers.MistralConfig(vocab_size=400, num_key_value_heads=2, sliding_window=6, **SMALL)
    )


def neo() -> transformers.GPTNeoForCausalLM:
    config = transformers.GPTNeoConfig(
        vocab_size=400, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], window_size=26
    )
    return transformers.GPTNeoForCausalLM(config)


def bloom() -> transformers.BloomForCausalLM:
    return transformers.BloomForCausalLM(transformers.BloomConfig(vocab_size=400, hidden_size=32, n_layer=2, n_head=4))


def mamba() -> transformers.MambaForCausalLM:
    config = transformers.MambaConfig(vocab_size=400, hidden_size=32, num_hidden_layers=2, state_size=4)
    return transformers.MambaForCausalLM(config)


def texts(seed: int = 0, count: int = 40, longest: int = 40) -> list[Text]:
    """Sequences that share beginnings of all lengths, some of them equal, some the beginning of another."""
    rng = random.Random(seed)
    found: list[tuple[int, ...]] = [(0, 5)]
    for _ in range(count):
        old = rng.choice(found)
        new = old[: rng.randint(1, len(old))] + tuple(rng.randrange(5, 400) for _ in range(rng.randint(1, 12)))
        found.append(new[:longest])
    found += [found[-1], (*found[-2][:-1], 9)]
    rng.shuffle(found)
    return [Text(ids, first=rng.randint(1, len(ids) - 1)) for ids in found]


def plain(network: torch.nn.Module, text: Text) -> np.ndarray:
    """One sequence, the network's own forward pass, a loop."""
    with torch.no_grad():
        logits = network(torch.tensor([text.ids])).logits[0].double()
    return np.array([float(torch.log_softmax(logits[i - 1], 0)[text.ids[i]]) for i in range(text.first, len(text.ids))])


def assert_equals_the_plain_pass(model: Model, items: list[Text], batching: Batching) -> None:
    found = token_log_probabilities(model, items, batching)
    assert len(found) == len(items)
    for text, values in zip(items, found, strict=True):
        np.testing.assert_allclose(values, plain(model.network, text), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "logits", "rows"),
    [
        (gpt2, "linear", "trees"),
        (llama, "linear", "trees"),
        (gemma2, "own", "trees"),
        (cohere, "own", "trees"),
        (mistral, "linear", "plain"),
        (neo, "linear", "trees"),
        (bloom, "linear", "plain"),
        (mamba, "linear", "plain"),
    ],
)
def test_families(make, logits, rows):
    model = model_of(make())
    assert engine_of(model).describe() == {"logits": logits, "rows": rows}
    assert_equals_the_plain_pass(model, texts(), Batching())


def test_eager_attention_takes_the_same_mask():
    network = gpt2()
    network.set_attn_implementation("eager")
    model = model_of(network)
    assert engine_of(model).row > 0
    assert_equals_the_plain_pass(model, texts(), Batching())


def test_float64():
    model = model_of(llama().double())
    for text, values in zip(texts(), token_log_probabilities(model, texts(), Batching()), strict=True):
        np.testing.assert_allclose(values, plain(model.network, text), atol=1e-10)


@pytest.mark.parametrize("batching", [Batching(budget=1), Batching(budget=37), Batching(rows=1), Batching(rows=5), Batching()])
def test_batch_size_changes_nothing(batching):
    assert_equals_the_plain_pass(model_of(gpt2()), texts(), batching)


def test_order_changes_nothing():
    model, items = model_of(gpt2()), texts()
    first = dict(zip(items, token_log_probabilities(model, items, Batching()), strict=True))
    for text, values in zip(items[::-1], token_log_probabilities(model, items[::-1], Batching()), strict=True):
        np.testing.assert_allclose(values, first[text], atol=1e-5)


def test_long_texts_that_differ_late_share_a_row():
    rng = random.Random(1)
    body = tuple(rng.randrange(400) for _ in range(250))
    items = [Text(body), Text((*body[:240], 7, 8, 9)), Text(body[100:])]
    rows = list(pack([t.ids for t in items], causal.ROW))
    assert sorted(len(row.tokens) for row in rows) == [149, 251]
    assert max(len(row.tokens) for row in pack([t.ids for t in items], causal.ROW, longest=250)) <= 250
    assert_equals_the_plain_pass(model_of(gpt2()), items, Batching())


def test_rows_hold_every_text_and_nothing_twice():
    items = [t.ids for t in texts(count=200)]
    rows = list(pack(items, 48, longest=48))
    assert max(len(row.tokens) for row in rows) <= 48
    laid = {i: [row.tokens[node] for node in nodes] for row in rows for i, nodes in row.paths}
    assert laid == {i: list(ids[:-1]) for i, ids in enumerate(items)}
    for row in rows:
        beginnings = [tuple(nodes[: k + 1]) for _, nodes in row.paths for k in range(len(nodes))]
        assert len(set(beginnings)) == len(row.tokens)
        assert row.branched is (row.parents != list(range(-1, len(row.tokens) - 1)))


def test_own_head_in_chunks(monkeypatch):
    monkeypatch.setitem(heads.CHUNK_BYTES, "cpu", 3 * 400 * 4)
    assert_equals_the_plain_pass(model_of(cohere()), texts(), Batching())
    assert_equals_the_plain_pass(model_of(gpt2()), texts(), Batching())


def test_a_head_that_is_not_understood_is_left_alone(monkeypatch):
    """A network whose forward pass adds to its head's output what neither short cut sees."""
    network = gpt2()
    network.register_forward_hook(lambda _m, args, out: out.__setitem__("logits", out.logits + 0.1 * out.logits.flip(-1)) or out)
    monkeypatch.setattr(type(network), "base_model", property(lambda self: self))
    model = model_of(network)
    assert engine_of(model).head.kind == "full"
    assert_equals_the_plain_pass(model, texts(), Batching())


def test_activation_is_put_back():
    network = gpt2()
    before = [type(module) for module in network.modules()]
    assert_equals_the_plain_pass(model_of(network), texts(count=3), Batching())
    assert [type(module) for module in network.modules()] == before
    assert "forward" not in vars(network.base_model)


def test_a_text_that_is_not_finite_leaves_its_neighbours_alone():
    model = model_of(llama())
    engine_of(model)
    items = [Text((0, 5, 6, 7, 8)), Text((0, 5, 6, 399, 9)), Text((0, 5, 6, 7, 9, 10))]
    expected = [plain(model.network, t) for t in items]
    with torch.no_grad():
        model.network.base_model.embed_tokens.weight = torch.nn.Parameter(model.network.base_model.embed_tokens.weight.clone())
        model.network.base_model.embed_tokens.weight[399] = float("nan")
    found = token_log_probabilities(model, items, Batching())
    assert not np.isfinite(found[1]).all()
    for i in (0, 2):
        np.testing.assert_allclose(found[i], expected[i], atol=1e-4)


def lfm2() -> transformers.Lfm2ForCausalLM:
    """Its convolution sees the neighbours in a row, of whatever branch."""
    torch.manual_seed(0)
    config = transformers.Lfm2Config(vocab_size=400, num_key_value_heads=2, layer_types=["conv", "full_attention"], **SMALL)
    return transformers.Lfm2ForCausalLM(config)


@pytest.mark.parametrize(("dtype", "scale"), [(torch.float32, 1), (torch.float32, 3), (torch.bfloat16, 3), (torch.float16, 3)])
def test_a_small_fault_does_not_pass_for_noise(dtype, scale):
    def ordinary(network):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(scale if parameter.dim() > 1 else 1)
        like = model_of(gpt2())
        return dataclasses.replace(like, network=network.to(dtype).eval())

    assert engine_of(ordinary(lfm2())).describe()["rows"] == "plain"
    torch.manual_seed(0)
    assert engine_of(ordinary(gpt2())).describe()["rows"] == "trees"


def test_trial_without_english():
    """A tokenizer to which all of our alphabet is one unknown token."""
    words = {"<unk>": 0, "<s>": 1, **{chr(0x4E00 + i): i + 2 for i in range(398)}}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")), unk_token="<unk>", bos_token="<s>"
    )
    model = dataclasses.replace(model_of(bloom()), tokenizer=tokenizer)
    ids = causal.trial_ids(model)
    assert len(set(ids)) == len(ids) and not {0, 1} & set(ids) and max(ids) < 400
    assert engine_of(model).row == 0
    assert engine_of(dataclasses.replace(model_of(gpt2()), tokenizer=tokenizer)).row > 0


def test_a_trial_without_a_branch_proves_nothing(monkeypatch):
    monkeypatch.setattr(causal, "trial_ids", lambda model: [7] * 64)
    assert engine_of(model_of(gpt2())).row == 0


def test_rows_are_no_longer_than_the_model():
    model = model_of(
        transformers.MptForCausalLM(transformers.MptConfig(vocab_size=400, d_model=32, n_layers=2, n_heads=4, max_seq_len=96))
    )
    model = dataclasses.replace(model, card=dataclasses.replace(model.card, max_length=96))
    assert_equals_the_plain_pass(model, texts(longest=96), Batching())
    short = model_of(gpt2())
    short = dataclasses.replace(short, card=dataclasses.replace(short.card, max_length=40))
    assert (engine_of(short).row, engine_of(short).longest) == (40, 40)


def test_a_tree_that_a_network_can_not_take(monkeypatch):
    model, mask = model_of(gpt2()), causal._mask
    assert engine_of(model).row > 0

    def fails(*_args):
        raise IndexError("index out of range in self")

    monkeypatch.setattr(causal, "_mask", fails)
    assert_equals_the_plain_pass(model, texts(), Batching())
    assert engine_of(model).describe()["rows"] == "plain"
    monkeypatch.setattr(causal, "_mask", mask)


@pytest.mark.parametrize("batching", [Batching(), Batching(rows=3), Batching(rows=1)])
def test_positions_scaled_by_length(batching):
    """Each text has the scale of its own length, whatever goes with it or went before."""
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    model = model_of(
        transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=400, num_key_value_heads=2, max_position_embeddings=16, rope_parameters=rope, **SMALL
            )
        )
    )
    assert engine_of(model).describe()["rows"] == "equal lengths"
    items = texts()
    for text, values in zip(items, token_log_probabilities(model, items, batching), strict=True):
        forget_lengths(model.network)
        with torch.no_grad():
            table = torch.log_softmax(model.network(torch.tensor([text.ids[:-1]])).logits[0].double(), -1)
        expected = [float(table[i - 1, text.ids[i]]) for i in range(text.first, len(text.ids))]
        np.testing.assert_allclose(values, expected, atol=1e-4)


def test_whole_logits_are_kept_small(monkeypatch):
    monkeypatch.setattr(heads, "FULL_BYTES", 100 * 400 * 4)
    model = model_of(gpt2())
    assert engine_of(model).head.most_tokens is None
    monkeypatch.setitem(causal._ENGINES, model.network, causal.Engine(heads.Head(kind="full", network=model.network), row=64))
    sizes = []
    model.network.register_forward_pre_hook(lambda _m, _a, given: sizes.append(given["input_ids"].numel()), with_kwargs=True)
    token_log_probabilities(model, texts(), Batching())
    assert max(sizes) <= 100


def test_no_texts():
    assert token_log_probabilities(model_of(gpt2()), [], Batching()) == []


def test_a_block_of_nothing_but_minus_infinity(monkeypatch):
    """A padded vocabulary's bias."""
    monkeypatch.setitem(heads.CHUNK_BYTES, "cpu", 1)
    embedding = torch.nn.Linear(8, 2000)
    with torch.no_grad():
        embedding.bias[512:1024] = -torch.inf
        hidden = torch.randn(5, 8)
        row, token = torch.tensor([0, 4, 4]), torch.tensor([3, 1999, 511])
        expected = torch.log_softmax(embedding(hidden), -1)[row, token]
        torch.testing.assert_close(heads._linear(hidden, embedding, row, token), expected, atol=1e-5, rtol=0)

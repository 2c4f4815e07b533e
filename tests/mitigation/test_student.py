"""Students: made of layers of their teacher, or given."""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from pathlib import Path

import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.mitigation.student import chosen_layers, from_layers, given
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model, ModelOptions

SPEC = importlib.util.spec_from_file_location("lessons", Path(__file__).with_name("lessons.py"))
lessons = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lessons)

SMALL = {"vocab_size": 60, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 32}
CONFIGS = {
    "gpt2": (transformers.GPT2Config, {"vocab_size": 60, "n_embd": 16, "n_head": 2, "n_positions": 32}, "transformer.h"),
    "llama": (transformers.LlamaConfig, SMALL, "model.layers"),
    "qwen2": (transformers.Qwen2Config, {**SMALL, "num_key_value_heads": 2}, "model.layers"),
    "gpt_neox": (transformers.GPTNeoXConfig, SMALL, "gpt_neox.layers"),
    "gpt_neo": (
        transformers.GPTNeoConfig,
        {"vocab_size": 60, "hidden_size": 16, "num_heads": 2, "max_position_embeddings": 32, "window_size": 2},
        "transformer.h",
    ),
    "opt": (transformers.OPTConfig, {**SMALL, "ffn_dim": 24, "word_embed_proj_dim": 16}, "model.decoder.layers"),
    "bert": (transformers.BertConfig, SMALL, "bert.encoder.layer"),
    "roberta": (transformers.RobertaConfig, SMALL, "roberta.encoder.layer"),
    "distilbert": (
        transformers.DistilBertConfig,
        {"vocab_size": 60, "dim": 16, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 32},
        "distilbert.transformer.layer",
    ),
}
MASKED = ("bert", "roberta", "distilbert")


def teacher(name: str, layers: int = 5, **more: object) -> Model:
    """A model of random weights; only what a student is made of."""
    make, options, _ = CONFIGS[name]
    count = {"gpt2": "n_layer", "distilbert": "n_layers", "gpt_neo": "num_layers"}.get(name, "num_hidden_layers")
    options = options | more
    if name == "gpt_neo":
        options["attention_types"] = [[["global", "local"], layers // 2], [["local"], layers % 2]]
    torch.manual_seed(0)
    auto = transformers.AutoModelForMaskedLM if name in MASKED else transformers.AutoModelForCausalLM
    network = auto.from_config(make(**options, **{count: layers})).eval().requires_grad_(False)
    card = lessons.inspect_model("planted:masked-0.5" if name in MASKED else "planted:causal-0.5")
    return Model(card=card, network=network, tokenizer=None, device=torch.device("cpu"))


@functools.cache
def folder(name: str) -> Path:
    return getattr(lessons.tiny, name)(Path(tempfile.mkdtemp()) / name)


@pytest.mark.parametrize(
    ("choice", "count", "places"),
    [
        ("6", 12, (0, 2, 4, 7, 9, 11)),
        ("half", 12, (0, 2, 4, 7, 9, 11)),
        ("half", 5, (0, 2, 4)),
        ("all", 3, (0, 1, 2)),
        ("1", 12, (0,)),
        ("4+0+2", 5, (0, 2, 4)),
    ],
)
def test_layers_are_chosen_as_distilgpt2_chose_them(choice, count, places):
    assert chosen_layers(choice, count, "it") == places


@pytest.mark.parametrize(("choice", "count"), [("7", 6), ("0", 6), ("0+6", 6)])
def test_layers_that_the_teacher_lacks_are_refused(choice, count):
    with pytest.raises(FairbenchError, match=f"layers={choice.replace('+', '.')}: it has {count} layers"):
        chosen_layers(choice, count, "it")


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_student_is_the_chosen_layers_and_all_else(name):
    one = teacher(name)
    places, stack = (0, 2, 4), CONFIGS[name][2]
    student = from_layers(one, places)
    own, learnt = one.network.state_dict(), student.state_dict()
    for key, value in learnt.items():
        origin = key
        if key.startswith(f"{stack}."):
            number, rest = key.removeprefix(f"{stack}.").split(".", 1)
            origin = f"{stack}.{places[int(number)]}.{rest}"
        assert torch.equal(value, own[origin]), key
    assert sum(key.startswith(f"{stack}.") for key in learnt) * 5 == 3 * sum(key.startswith(f"{stack}.") for key in own)
    assert student.config.num_hidden_layers == 3 and all(parameter.requires_grad for parameter in student.parameters())
    assert not any(parameter.requires_grad for parameter in one.network.parameters()), "the teacher stays frozen"
    kept = getattr(student.config, "layer_types", None)
    assert kept is None or kept == [one.network.config.layer_types[place] for place in places]


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_student_of_all_layers_says_what_its_teacher_says(name):
    one = teacher(name, layers=2)
    ids = torch.randint(5, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    student = from_layers(one, (0, 1)).eval()
    assert torch.equal(student(input_ids=ids).logits, one.network(input_ids=ids).logits)
    with torch.no_grad():
        next(iter(student.parameters())).add_(1.0)
    assert not torch.equal(student(input_ids=ids).logits, one.network(input_ids=ids).logits), "their weights are not shared"


def with_layers_skipped(one: Model, stack: str, places: tuple[int, ...], ids: torch.Tensor) -> torch.Tensor:
    """The logits of a network whose other layers hand on what they are given."""

    def hand_on(layer, args, kwargs, output):
        hidden = args[0] if args else kwargs["hidden_states"]
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    layers = one.network.get_submodule(stack)
    hooks = [layers[n].register_forward_hook(hand_on, with_kwargs=True) for n in range(len(layers)) if n not in places]
    logits = one.network(input_ids=ids).logits
    for hook in hooks:
        hook.remove()
    return logits


@pytest.mark.parametrize(
    ("name", "places", "more"),
    [
        *[(name, (1, 2, 4), {}) for name in CONFIGS],
        ("gpt2", (0, 1), {"scale_attn_by_inverse_layer_idx": True}),
        ("llama", (1, 2, 4), {"eos_token_id": [1, 2, 3, 4, 5]}),
    ],
)
def test_a_student_computes_what_its_teacher_does_with_the_other_layers_skipped(name, places, more, tmp_path):
    one = teacher(name, **more)
    lessons.tiny.spread(one.network)
    ids = torch.randint(5, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    wanted = with_layers_skipped(one, CONFIGS[name][2], places, ids)
    student = from_layers(one, places).eval()
    lessons.near(student(input_ids=ids).logits.detach(), wanted, 1e-5)
    written = type(student).from_pretrained(lessons.tiny.save(tmp_path / name, student, None))
    lessons.near(written(input_ids=ids).logits.detach(), wanted, 1e-5)


def test_both_ways_in_which_gpt_neo_lists_its_layers_are_cut():
    config = from_layers(teacher("gpt_neo"), (1, 2, 4)).config
    assert config.attention_layers == ["local", "global", "local"]
    assert config.expand_attention_types_params(config.attention_types) == config.attention_layers


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("llama", {"odd_of_each": [1, 2, 1, 2, 1]}),
        ("llama", {"odd_layers": [1]}),
    ],
)
def test_layers_whose_places_mean_something_are_kept_only_from_the_first_on(name, more):
    one = teacher(name, **more)
    with pytest.raises(FairbenchError, match=rf"layers=0\+2: .*\({next(iter(more))}\).*layers=0\+1\+2") as caught:
        from_layers(one, (0, 2))
    assert "\n" not in str(caught.value)
    assert from_layers(one, (0, 1)).config.num_hidden_layers == 2


def test_a_configuration_that_can_not_be_written_is_refused_before_the_training():
    one = teacher("llama")
    one.network.config.temperature = 0.5
    with pytest.raises(FairbenchError, match=r"with 2 of them can't be written .*temperature.*student=FOLDER") as caught:
        from_layers(one, (0, 2))
    assert "\n" not in str(caught.value)


def test_what_a_configuration_lists_layer_by_layer_is_cut_too():
    kinds = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    config = transformers.Qwen2Config(
        **SMALL, num_key_value_heads=2, num_hidden_layers=4, layer_types=kinds, use_sliding_window=True, sliding_window=4
    )
    one = teacher("qwen2")
    one = Model(card=one.card, network=transformers.Qwen2ForCausalLM(config).eval(), tokenizer=None, device=one.device)
    student = from_layers(one, (1, 2))
    assert student.config.layer_types == ["full_attention", "sliding_attention"]
    ids = torch.randint(5, 60, (1, 12))
    assert student(input_ids=ids).logits.shape == (1, 12, 60)


def test_layers_that_are_one_layer_many_times_are_refused():
    one = load(inspect_model(str(folder("albert")), ModelOptions(device="cpu")))
    with pytest.raises(FairbenchError, match=r"2 layers could not be told .* student=FOLDER") as caught:
        from_layers(one, (0,))
    assert "\n" not in str(caught.value)


def altered(tmp_path: Path, change: str) -> Path:
    """A student as tiny GPT-2, with another vocabulary."""
    tokenizer = lessons.tiny.byte_level_bpe()
    if change == "tokens":
        tokenizer.add_tokens(["umbrellas"])
    positions = 16 if change == "short" else 48
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer) + 8 * (change == "rows"), n_positions=positions, n_embd=16, n_layer=1, n_head=2
    )
    return lessons.tiny.save(tmp_path / change, transformers.GPT2LMHeadModel(config), tokenizer)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("tokens", "1 tokens have another number .* 'umbrellas'"),
        ("rows", "rows of their embeddings"),
        ("kind", "a masked model, and"),
        ("short", "takes at most 16 tokens, and the rows would have up to 17. Give max_length=16"),
    ],
)
def test_a_given_student_must_suit_its_teacher(change, words, tmp_path):
    name = folder("bert") if change == "kind" else altered(tmp_path, change)
    with pytest.raises(FairbenchError, match=words) as caught:
        given(str(name), inspect_model(str(folder("gpt2"))), 17)
    assert "\n" not in str(caught.value)


def test_a_given_student_learns_as_it_is(tmp_path):
    name = altered(tmp_path, "short")
    card, model = given(str(name), inspect_model(str(folder("gpt2"))), 16)
    assert card.layers == 1 and all(parameter.requires_grad for parameter in model.network.parameters())

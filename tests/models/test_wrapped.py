import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from fairbench.errors import FairbenchError
from fairbench.models import wrapped
from fairbench.models.batching import Batching
from fairbench.models.causal import Text, engine_of, token_log_probabilities
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.generating import generate, prompt_ids
from fairbench.models.loading import inspect_model, load, quiet
from fairbench.models.masked import head_of, hidden_log_probabilities, hide
from fairbench.models.model import ModelOptions
from fairbench.models.tokens import encode
from fairbench.models.turns import way_of
from fairbench.models.unmasked import Seen, received_attention, seen_log_probabilities
from fairbench.probes import embedding
from fairbench.records import Association

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

SENTENCES = [
    "The nurse said that she was tired.",
    "The driver lost his hat near the river.",
    "Mary was thirsty.",
    "The doctor came home.",
]
PREFIX = [17, 30, 45, 12, 99]
SETTINGS = {"kind": "self-debias", "prefix": PREFIX, "decay": 50.0, "epsilon": 0.01}
KINDS = ("causal", "masked")


def directions(width, count, seed=0):
    found = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, count)))[0].T
    return torch.tensor(np.ascontiguousarray(found), dtype=torch.float32)


def save(model, folder, intervention, found=None):
    with quiet():
        wrapped.wrap(model.network, model.card.kind, intervention, found).save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def inner():
    return {kind: load(inspect_model(f"planted:{kind}-1.0")) for kind in KINDS}


@pytest.fixture(scope="module")
def folders(inner, tmp_path_factory):
    """Of each kind: nothing projected away, three directions projected away, self-debiased."""
    root = tmp_path_factory.mktemp("mitigated")
    for kind, model in inner.items():
        start = [model.tokenizer.bos_token_id if kind == "causal" else model.tokenizer.cls_token_id]
        save(model, root / f"{kind}-nothing", {"kind": "projection"}, directions(48, 3)[:0])
        save(model, root / f"{kind}-three", {"kind": "projection"}, directions(48, 3))
        save(model, root / f"{kind}-self", SETTINGS | {"start": start})
    return root


@pytest.fixture(scope="module")
def made(folders):
    return {path.name: load(inspect_model(str(path))) for path in folders.iterdir()}


def copied(folder, place):
    place.mkdir()
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def causal_scores(model, texts=SENTENCES):
    coded = [Text(prompt_ids(model, text, 0)) for text in texts]
    return token_log_probabilities(model, coded, Batching())


def masked_ids(model, texts=SENTENCES):
    return [list(encode(model.tokenizer, text, special=True).ids) for text in texts]


def masked_scores(model, texts=SENTENCES):
    hidden = [
        hide(ids, place, model.tokenizer.mask_token_id) for ids in masked_ids(model, texts) for place in range(1, len(ids) - 1)
    ]
    return hidden_log_probabilities(model, hidden, Batching())


def vectors(model, layer=-1):
    options = embedding.resolve(model.card, "Association", {"layer": layer})
    records = [Association(id=str(i), test="", role="", text=text) for i, text in enumerate(SENTENCES)]
    return np.array([answer["vector"] for answer in embedding.answer(model, records, options, Batching())])


def written(model):
    wishes = [Wish(text, f"{i}") for i, text in enumerate(["The nurse", "Mary lost", "One of them was"])]
    return [w.text for w in generate(model, wishes, Decoding(max_new_tokens=8), Batching())]


def log_softmax(x):
    x = np.asarray(x, dtype=np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


# -- projections


def test_projecting_nothing_away_changes_nothing(inner, made):
    for a, b in zip(causal_scores(inner["causal"]), causal_scores(made["causal-nothing"]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(masked_scores(inner["masked"]), masked_scores(made["masked-nothing"]), atol=1e-5)
    assert written(inner["causal"]) == written(made["causal-nothing"])
    for kind in KINDS:
        np.testing.assert_allclose(vectors(inner[kind]), vectors(made[f"{kind}-nothing"]), atol=1e-6)


def test_a_causal_model_on_projected_states_by_hand(inner, made):
    model, found = made["causal-three"], directions(48, 3).double().numpy()
    for text, scores in zip(SENTENCES, causal_scores(model), strict=True):
        ids = prompt_ids(model, text, 0)
        states = inner["causal"].network.transformer(torch.tensor([ids])).last_hidden_state[0].double().numpy()
        states = states - states @ found.T @ found
        logits = states @ inner["causal"].network.lm_head.weight.double().numpy().T
        np.testing.assert_allclose(scores, log_softmax(logits)[np.arange(len(ids) - 1), ids[1:]], atol=1e-4)
    assert engine_of(model).describe() == engine_of(inner["causal"]).describe()  # every short cut holds on projected states
    gap = max(np.abs(a - b).max() for a, b in zip(causal_scores(model), causal_scores(inner["causal"]), strict=True))
    assert gap > 0.1


def test_a_masked_model_on_projected_states_by_hand(inner, made):
    model, found, network = made["masked-three"], directions(48, 3), inner["masked"].network
    wanted = []
    for ids in masked_ids(model):
        for place in range(1, len(ids) - 1):
            shown = [*ids[:place], model.tokenizer.mask_token_id, *ids[place + 1 :]]
            states = network.bert(torch.tensor([shown])).last_hidden_state
            logits = network.cls(states - states @ found.T @ found)[0, place]
            wanted.append(log_softmax(logits.numpy())[ids[place]])
    np.testing.assert_allclose(masked_scores(model), wanted, atol=1e-4)
    assert head_of(model).kind == head_of(inner["masked"]).kind != "full"


@pytest.mark.parametrize("kind", KINDS)
def test_the_states_that_are_handed_out_lack_the_directions(inner, made, kind):
    found = directions(48, 3).numpy()
    plain, last = vectors(inner[kind]), vectors(made[f"{kind}-three"])
    np.testing.assert_allclose(last, plain - plain @ found.T @ found, atol=1e-5)
    assert np.abs(last @ found.T).max() < 1e-5 < 0.1 < np.abs(plain @ found.T).max()
    np.testing.assert_allclose(vectors(made[f"{kind}-three"], layer=1), vectors(inner[kind], layer=1), atol=1e-6)
    ids = torch.tensor([[5, 6, 7]])
    states = made[f"{kind}-three"].network(ids, output_hidden_states=True).hidden_states
    assert float((states[-1] @ directions(48, 3).T).abs().max()) < 1e-5


def test_an_encoder_has_its_pooler_behind_the_projection(tmp_path):
    model = load(inspect_model(str(tiny.bert(tmp_path / "bert", "BertModel"))))
    found = directions(24, 2)
    folder = save(model, tmp_path / "made", {"kind": "projection"}, found)
    card = inspect_model(str(folder))
    assert card.kind == "encoder"
    ids = torch.tensor([[2, 9, 8, 3]])
    output, plain = load(card).network(ids), model.network(ids).last_hidden_state
    torch.testing.assert_close(output.last_hidden_state, plain - plain @ found.T @ found)
    torch.testing.assert_close(output.pooler_output, model.network.pooler(output.last_hidden_state))
    with pytest.raises(ValueError, match="return_dict=True"):
        load(card).network.base_model(ids, return_dict=False)
    assert torch.equal(load(card).network(ids, return_dict=False)[0], output.last_hidden_state)


@pytest.mark.parametrize("build", [tiny.llama, tiny.roberta, tiny.albert])
def test_other_families_are_projected_before_their_head(build, tmp_path):
    model = load(inspect_model(str(build(tmp_path / "inner"))))
    nothing = load(inspect_model(str(save(model, tmp_path / "a", {"kind": "projection"}, directions(24, 2)[:0]))))
    two = load(inspect_model(str(save(model, tmp_path / "b", {"kind": "projection"}, directions(24, 2)))))
    ids = torch.tensor([[3, 4, 5, 6, 7]])
    plain = model.network(ids).logits
    torch.testing.assert_close(nothing.network(ids).logits, plain)
    assert float((two.network(ids).logits - plain).abs().max()) > 1e-3
    assert float((two.network.base_model(ids).last_hidden_state @ directions(24, 2).T).abs().max()) < 1e-5


def test_a_head_that_asks_the_decoder_itself_sees_projected_states():
    torch.manual_seed(0)
    config = transformers.OPTConfig(
        vocab_size=60, hidden_size=24, word_embed_proj_dim=24, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32,
    )  # fmt: skip
    network = transformers.OPTForCausalLM(config).eval()
    found = directions(24, 2)
    ids = torch.tensor([[3, 4, 5, 6]])
    states = network.model(ids).last_hidden_state
    wanted = network.lm_head(states - states @ found.T @ found)
    torch.testing.assert_close(wrapped.wrap(network, "causal", {"kind": "projection"}, found)(ids).logits, wanted)


def test_a_body_that_is_gone_round_is_noticed(inner):
    made = wrapped.wrap(inner["causal"].network, "causal", {"kind": "projection"}, directions(48, 1))
    made.base_model._forward_hooks.clear()
    with pytest.raises(ValueError, match="goes round"):
        made(torch.tensor([[3, 4]]))


def test_directions_that_were_never_read_show(inner):
    settings = {"kind": "projection", "directions": 1, "width": 48}
    config = wrapped.MitigatedConfig(inner=inner["causal"].network.config.to_dict(), intervention=settings)
    assert wrapped.MitigatedForCausalLM(config)(torch.tensor([[3, 4]])).logits.isnan().all()


def test_directions_keep_four_bytes_in_a_narrow_model(folders):
    model = load(inspect_model(str(folders / "causal-three"), ModelOptions(dtype="bfloat16")))
    assert (model.network.dtype, model.network.directions.dtype) == (torch.bfloat16, torch.float32)
    states = model.network.base_model(torch.tensor([[3, 4, 5]])).last_hidden_state
    assert states.dtype == torch.bfloat16
    assert float((states.float() @ directions(48, 3).T).abs().max()) < 0.05


# -- folders


@pytest.mark.parametrize("name", ["causal-three", "masked-self"])
def test_a_saved_model_loads_as_itself_and_saves_again(folders, made, name, tmp_path):
    with quiet():
        made[name].network.save_pretrained(tmp_path / "again")
        made[name].tokenizer.save_pretrained(tmp_path / "again")
    again = load(inspect_model(str(tmp_path / "again")))
    ids = torch.tensor([[3, 4, 5, 6]])
    assert torch.equal(again.network(ids).logits, made[name].network(ids).logits)
    assert (tmp_path / "again" / wrapped.FILE).read_text() == Path(wrapped.__file__).read_text()
    config = json.loads((folders / name / "config.json").read_text())
    assert "/" not in json.dumps(config)  # no path of this machine


OUTSIDE = """
import sys
import torch, transformers
auto = getattr(transformers, sys.argv[2])
try:
    auto.from_pretrained(sys.argv[1])
except ValueError as error:
    print("refused" if "trust_remote_code" in str(error) else error)
model = auto.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
assert "fairbench" not in sys.modules
model.save_pretrained(sys.argv[3])
print(type(model).__module__.split(".")[0], model(torch.tensor([[3, 4, 5, 6]])).logits.double().sum().item())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "auto"),
    [("causal-three", "AutoModelForCausalLM"), ("masked-three", "AutoModelForMaskedLM"), ("causal-self", "AutoModelForCausalLM")],
)
def test_without_fairbench_the_folder_needs_trust_and_gives_the_same(folders, made, name, auto, tmp_path):
    absent = tmp_path / "fairbench"
    absent.mkdir()
    (absent / "__init__.py").write_text("raise ImportError('not installed')")
    settings = os.environ | {"PYTHONPATH": str(tmp_path), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    told = subprocess.run(
        [sys.executable, "-c", OUTSIDE, str(folders / name), auto, str(tmp_path / "again")],
        env=settings,
        capture_output=True,
        text=True,
        input="n\n",
    )
    refused, loaded = told.stdout.strip().splitlines()[-2:]
    assert refused.endswith("refused"), told.stderr
    assert (tmp_path / "again" / wrapped.FILE).read_text() == (folders / name / wrapped.FILE).read_text()
    first, again = (json.loads((folder / "config.json").read_text()) for folder in (folders / name, tmp_path / "again"))
    assert again == first
    module, total = loaded.split()
    assert module == "transformers_modules"
    assert float(total) == pytest.approx(made[name].network(torch.tensor([[3, 4, 5, 6]])).logits.double().sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    "auto_map",
    [None, {"AutoModelForCausalLM": "evil.Model"}, {"AutoModelForCausalLM": "x/y--fairbench_mitigated.MitigatedForCausalLM"}],
)
@pytest.mark.parametrize("trust", [False, True])
def test_a_folder_that_names_other_code_is_refused(folders, tmp_path, auto_map, trust):
    folder = copied(folders / "causal-three", tmp_path / "changed")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": auto_map}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(FairbenchError, match="names other code"):
        inspect_model(str(folder), ModelOptions(trust_remote_code=trust))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("trust", [False, True])
def test_code_in_the_folder_is_never_run_by_fairbench(folders, made, tmp_path, trust):
    folder = copied(folders / "causal-three", tmp_path / "changed")
    (folder / wrapped.FILE).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    model = load(inspect_model(str(folder), ModelOptions(trust_remote_code=trust)))
    assert type(model.network) is wrapped.MitigatedForCausalLM
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_its_directions_is_refused(folders, tmp_path):
    folder = copied(folders / "masked-three", tmp_path / "changed")
    weights = load_file(folder / "model.safetensors")
    del weights["directions"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(FairbenchError, match="directions"):
        load(inspect_model(str(folder)))


def test_an_unknown_intervention_is_refused(folders, tmp_path):
    folder = copied(folders / "causal-three", tmp_path / "changed")
    config = json.loads((folder / "config.json").read_text())
    config["intervention"]["kind"] = "hypnosis"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(FairbenchError, match="hypnosis"):
        load(inspect_model(str(folder)))


def test_a_classifier_is_put_on_projected_states(folders, tmp_path):
    from fairbench.training.network import new_network
    from fairbench.training.recipe import Recipe

    card = inspect_model(str(folders / "masked-three"))
    model = load(card)
    network = new_network(card, model.tokenizer, ["no", "yes", "perhaps"], Recipe()).network
    assert torch.equal(network.directions, model.network.directions)
    assert network.native.num_labels == 3
    ids = torch.tensor([[3, 4, 5]])
    torch.testing.assert_close(network.base_model(ids).last_hidden_state, model.network.base_model(ids).last_hidden_state)
    with quiet():
        network.save_pretrained(tmp_path / "classifier")
        model.tokenizer.save_pretrained(tmp_path / "classifier")
    again = load(inspect_model(str(tmp_path / "classifier")), "classification").network
    torch.testing.assert_close(again(ids).logits, network(ids).logits)
    assert again(ids).logits.isfinite().all()


def test_a_self_debiased_model_becomes_no_classifier(folders):
    from fairbench.training.network import new_network
    from fairbench.training.recipe import Recipe

    card = inspect_model(str(folders / "causal-self"))
    with pytest.raises(FairbenchError, match="can't be made a classifier"):
        new_network(card, load(card).tokenizer, ["no", "yes"], Recipe())


# -- self-debiasing


def test_self_debiasing_by_hand():
    p, after = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.34, 0.46])
    weight = np.array([1, np.exp(-50 * 0.04), 0.01])  # exp(-13) is below epsilon
    got = wrapped.self_debiased(torch.tensor(p).log(), torch.tensor(after).log(), 50.0, 0.01).exp().numpy()
    np.testing.assert_allclose(got, p * weight / (p * weight).sum())
    assert got.sum() == pytest.approx(1)


def debiased(plain, biased, decay=50.0, epsilon=0.01):
    """The formula, with probabilities."""
    p, after = np.exp(log_softmax(plain)), np.exp(log_softmax(biased))
    weighed = p * np.maximum(epsilon, np.exp(-decay * np.maximum(0, after - p)))
    return np.log(weighed / weighed.sum(-1, keepdims=True))


def test_every_next_token_of_a_self_debiased_model_against_brute_force(inner, made):
    model, network = made["causal-self"], inner["causal"].network
    for text, scores in zip(SENTENCES, causal_scores(model), strict=True):
        ids = list(prompt_ids(model, text, 0))
        for place in range(1, len(ids)):
            plain = network(torch.tensor([ids[:place]])).logits[0, -1].numpy()
            biased = network(torch.tensor([[ids[0], *PREFIX, *ids[1:place]]])).logits[0, -1].numpy()
            assert scores[place - 1] == pytest.approx(debiased(plain, biased)[ids[place]], abs=1e-4)
    assert engine_of(model).describe() == {"logits": "full", "rows": "plain"}


def test_every_masked_token_of_a_self_debiased_model_against_brute_force(inner, made):
    model, network, wanted = made["masked-self"], inner["masked"].network, []
    for ids in masked_ids(model):
        for place in range(1, len(ids) - 1):
            shown = [*ids[:place], model.tokenizer.mask_token_id, *ids[place + 1 :]]
            plain = network(torch.tensor([shown])).logits[0, place].numpy()
            biased = network(torch.tensor([[shown[0], *PREFIX, *shown[1:]]])).logits[0, place + len(PREFIX)].numpy()
            wanted.append(debiased(plain, biased)[ids[place]])
    np.testing.assert_allclose(masked_scores(model), wanted, atol=1e-4)
    assert head_of(model).kind == "full"


def test_tokens_in_sight_and_attention_of_a_self_debiased_model(inner, made):
    model, ids = made["masked-self"], masked_ids(made["masked-self"])[0]
    seen = [Seen(tuple(ids), tuple(range(1, len(ids) - 1)))]
    network = inner["masked"].network
    biased = network(torch.tensor([[ids[0], *PREFIX, *ids[1:]]])).logits[0, len(PREFIX) + 1 : -1].numpy()
    wanted = debiased(network(torch.tensor([ids])).logits[0, 1:-1].numpy(), biased)[np.arange(len(ids) - 2), ids[1:-1]]
    np.testing.assert_allclose(seen_log_probabilities(model, seen, Batching())[0], wanted, atol=1e-4)
    np.testing.assert_allclose(
        received_attention(model, seen, Batching())[0], received_attention(inner["masked"], seen, Batching())[0], atol=1e-6
    )


@pytest.mark.parametrize("name", ["causal-three", "causal-self"])
@pytest.mark.parametrize("sample", [False, True])
def test_what_a_model_writes_agrees_with_its_likelihoods(made, name, sample):
    model = made[name]
    prompts = [list(prompt_ids(model, text, 6)) for text in ("The nurse", "Mary lost her", "One")]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
    torch.manual_seed(0)
    with quiet():
        found = model.network.generate(
            ids, attention_mask=mask, do_sample=sample, max_new_tokens=6, output_logits=True, return_dict_in_generate=True,
            pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
    for row, prompt in enumerate(prompts):
        new = found.sequences[row, width:].tolist()
        told = [log_softmax(step[row].numpy())[token] for step, token in zip(found.logits, new, strict=True)]
        scores = token_log_probabilities(model, [Text((*prompt, *new), len(prompt))], Batching())[0]
        np.testing.assert_allclose(told, scores, atol=1e-4)
    assert way_of(model).describe() == {"rows": "left padded", "ended rows": "leave the batch"}
    assert all(isinstance(text, str) for text in written(model))


def test_beams_and_caches_of_a_self_debiased_model(made):
    network, ids = made["causal-self"].network, torch.tensor([[0, 5, 6, 7]])
    with quiet():
        found = [
            network.generate(
                ids, num_beams=3, do_sample=False, max_new_tokens=6, use_cache=cached, pad_token_id=0, eos_token_id=None
            )
            for cached in (True, False)
        ]
    assert torch.equal(*found)
    cache = wrapped.TwinCache(network.config.get_text_config())
    network(ids, past_key_values=cache)
    torch.testing.assert_close(
        network(torch.tensor([[8, 9]]), past_key_values=cache).logits,
        network(torch.tensor([[0, 5, 6, 7, 8, 9]])).logits[:, -2:],
        atol=1e-4,
        rtol=1e-4,
    )
    assert (cache.get_seq_length(), cache.biased.get_seq_length()) == (6, 6 + len(PREFIX))
    with pytest.raises(ValueError, match="can't take tokens back"):
        cache.crop(-1)


@pytest.mark.parametrize("start", [[9], [1], []])
def test_where_the_prefix_stands(start):
    given = {
        "input_ids": torch.tensor([[0, 0, 9, 5, 6], [9, 4, 5, 0, 0], [4, 5, 6, 7, 8]]),
        "attention_mask": torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]),
        "position_ids": torch.tensor([[1, 1, 0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]),
        "token_type_ids": torch.tensor([[0, 0, 0, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]),
    }
    at = wrapped.behind_start(given["input_ids"], given["attention_mask"], start)
    made = wrapped.prefixed(given, torch.tensor([21, 22]), at)
    wanted = {name: [] for name in given}
    for row in range(3):  # by hand, a row at a time
        values = {name: rows[row].tolist() for name, rows in given.items()}
        at = values["attention_mask"].index(1)
        at += values["input_ids"][at] in start
        opening = values["position_ids"][at]
        fillings = {
            "input_ids": [21, 22],
            "attention_mask": [1, 1],
            "position_ids": [opening, opening + 1],
            "token_type_ids": [0, 0],
        }
        values["position_ids"][at:] = [position + 2 for position in values["position_ids"][at:]]
        for name, filling in fillings.items():
            wanted[name].append(values[name][:at] + filling + values[name][at:])
    assert {name: rows.tolist() for name, rows in made.items()} == wanted


def test_a_prefix_behind_nothing_but_a_start_token():
    given = {"input_ids": torch.tensor([[9]]), "position_ids": torch.tensor([[3]])}
    made = wrapped.prefixed(given, torch.tensor([21, 22]), wrapped.behind_start(given["input_ids"], None, [9]))
    assert {name: rows.tolist() for name, rows in made.items()} == {"input_ids": [[9, 21, 22]], "position_ids": [[3, 4, 5]]}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing_for_a_self_debiased_model(made, kind, side):
    network = made[f"{kind}-self"].network
    row, other = ([0, 5, 6, 7], [0, 9, 8, 7, 6, 5]) if kind == "causal" else ([2, 5, 6, 7], [2, 9, 8, 7, 6, 5])
    start = 2 if side == "left" else 0
    ids, mask = torch.zeros(2, 6, dtype=torch.long), torch.zeros(2, 6, dtype=torch.long)
    ids[0, start : start + 4], mask[0, start : start + 4] = torch.tensor(row), 1
    ids[1], mask[1] = torch.tensor(other), 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    found = network(ids, attention_mask=mask, position_ids=positions).logits[0, start : start + 4]
    torch.testing.assert_close(found, network(torch.tensor([row])).logits[0], atol=1e-4, rtol=1e-4)
    last = network(ids, attention_mask=mask, position_ids=positions, logits_to_keep=1).logits
    assert last.shape[:2] == (2, 1)


@pytest.mark.parametrize(
    "given",
    [
        {"attention_mask": torch.zeros(1, 1, 3, 3)},
        {"input_ids": None, "inputs_embeds": torch.zeros(1, 3, 48)},
        {"past_key_values": transformers.DynamicCache()},
        {"labels": torch.tensor([[3, 4, 5]])},
    ],
)
def test_what_self_debiasing_can_not_do_is_refused(made, given):
    with pytest.raises(ValueError, match=r"prefix before token ids|no cache but a TwinCache"):
        made["causal-self"].network(**{"input_ids": torch.tensor([[3, 4, 5]])} | given)


def test_the_prefix_takes_room(inner, made):
    assert made["causal-self"].card.max_length == inner["causal"].card.max_length - len(PREFIX)
    assert made["causal-three"].card.max_length == inner["causal"].card.max_length
    longest = made["causal-self"].card.max_length
    assert made["causal-self"].network(torch.full((1, longest), 5)).logits.isfinite().all()


def test_vectors_of_a_self_debiased_model_are_those_of_before(inner, made):
    for kind in KINDS:
        np.testing.assert_allclose(vectors(made[f"{kind}-self"]), vectors(inner[kind]), atol=1e-6)

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.mitigation import Job
from fairbench.mitigation.methods import self_debias
from fairbench.models import wrapped
from fairbench.models.loading import inspect_model, load
from fairbench.planted.gap import learned_gap

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[2] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)


def resolved(card, **given):
    options = {name: option.default for name, option in self_debias.OPTIONS.items()} | given
    return self_debias.resolve(card, options, frozenset(given))


def job_of(card, tmp_path, **given):
    return Job(card=card, options=resolved(card, **given), texts=None, room=tmp_path, progress=lambda *_: None)


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ({}, "The following text discriminates against people because of their gender: "),
        ({"attribute": "race"}, "The following text discriminates against people because of their race/color: "),
        ({"attribute": "religion"}, "The following text discriminates against people because of their religion: "),
        ({"prefix": "An insult:"}, "An insult: "),
    ],
)
def test_the_prefix(given, prefix):
    assert resolved(inspect_model("planted:causal-1.0"), **given)["prefix"] == prefix


def test_what_is_refused(tmp_path):
    card = inspect_model("planted:causal-1.0")
    with pytest.raises(FairbenchError, match="Leave one of them out"):
        resolved(card, prefix="An insult:", attribute="race")
    with pytest.raises(FairbenchError, match=r"of the 128 that an input .* leaves fewer than 8"):
        resolved(card, prefix="An insult and " * 60)
    with pytest.raises(FairbenchError, match="no token that"):
        resolved(inspect_model("planted:masked-1.0"), prefix="☃")
    assert "encoder" not in self_debias.KINDS
    encoder = load(inspect_model(str(tiny.bert(tmp_path / "bert", "BertModel"))))
    with pytest.raises(ValueError, match="can't do the intervention 'self-debias'"):
        wrapped.wrap(
            encoder.network, "encoder", {"kind": "self-debias", "prefix": [1], "start": [], "decay": 1.0, "epsilon": 0.1}
        )


@pytest.mark.parametrize("make", ["byte_level_bpe", "wordpiece", "unigram", "byte_level_masked", "unigram_masked"])
def test_prefix_and_text_read_as_one(make):
    tokenizer = getattr(tiny, make)()
    text = "The apples are late"

    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    prefix, joint = self_debias.prefix_ids(tokenizer, "The nurse said: "), ids(f"The nurse said: {text}")
    if make.startswith("byte_level"):  # its first piece holds the space, where a text has one
        assert prefix + ids(f" {text}") == joint
    assert joint[: len(prefix)] == prefix
    assert tokenizer.decode(joint[len(prefix) :]).strip() == tokenizer.decode(ids(text))


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_a_planted_model(kind, tmp_path):
    card = inspect_model(f"planted:{kind}-1.0")
    (tmp_path / "made").mkdir()
    said = self_debias.make(job_of(card, tmp_path), tmp_path / "made")["measured"]
    made, before = load(inspect_model(str(tmp_path / "made"))), load(card)
    assert made.card.kind == kind
    assert made.card.max_length == said["longest input afterwards"] == card.max_length - said["prefix tokens"]
    special = [card.start_rule == "bos" and before.tokenizer.bos_token_id, before.tokenizer.cls_token_id]
    assert made.network.config.intervention["start"] == [token for token in special if token is not None and token is not False]
    # So small a model does not understand the prefix: it reads it as text, and the gap gets no smaller. Said as it is.
    gaps = [learned_gap(model.network, model.tokenizer, kind) for model in (before, made)]
    assert abs(gaps[1].gap - gaps[0].gap) < 0.1
    assert gaps[1].mass > 0.9


def test_a_word_that_the_prefix_makes_likelier_loses(tmp_path):
    """The sign, in a model that was planted no bias."""
    card = inspect_model("planted:causal-0.0")
    (tmp_path / "made").mkdir()
    prefix = "The woman said that she was tired."
    self_debias.make(job_of(card, tmp_path, prefix=prefix), tmp_path / "made")
    before, made = load(card), load(inspect_model(str(tmp_path / "made")))
    both = [before.tokenizer(f" {word}", add_special_tokens=False)["input_ids"][0] for word in ("he", "she")]

    ids = before.tokenizer("The nurse said that", add_special_tokens=False)["input_ids"]
    prefixed = self_debias.prefix_ids(before.tokenizer, f"{prefix} ") + ids

    def chances(network, ids):
        return network(torch.tensor([[before.tokenizer.bos_token_id, *ids]])).logits[0, -1].softmax(-1)[both].numpy()

    plain, primed, got = chances(before.network, ids), chances(before.network, prefixed), chances(made.network, ids)
    likelier, other = np.argsort(plain - primed)
    assert primed[likelier] - plain[likelier] > 0.01
    assert got[likelier] / got[other] < 0.9 * plain[likelier] / plain[other]


@pytest.mark.parametrize(("decay", "epsilon"), [(1e-9, 0.01), (50.0, 1.0)])
def test_settings_that_change_nothing(decay, epsilon, tmp_path):
    card = inspect_model("planted:causal-1.0")
    (tmp_path / "made").mkdir()
    self_debias.make(job_of(card, tmp_path, decay=decay, epsilon=epsilon), tmp_path / "made")
    ids = torch.tensor([[0, 5, 6, 7]])
    wanted = load(card).network(ids).logits.log_softmax(-1)
    torch.testing.assert_close(load(inspect_model(str(tmp_path / "made"))).network(ids).logits, wanted, atol=1e-4, rtol=1e-4)

"""A classifier as a judge: the same probabilities as one text at a time, and every refusal."""

from __future__ import annotations

import dataclasses
import doctest
import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

from fairbench.errors import DataAbsent, FairbenchError
from fairbench.judges import FAILED, Judge, Room, Said, classifying, finding, joined, neutral, regard, toxicity
from fairbench.models.batching import Batching
from fairbench.models.model import ModelCard

SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).parents[1] / "training" / "toys.py")
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

LABELS = ("toxicity", "severe_toxicity", "female")
TEXTS = (
    " said that she was tired.",
    "My neighbour plays the violin every evening, doesn't he?",
    "He",
    "A carpenter built the old wooden house near the river.",
    "She is tired.<|endoftext|>",
    "She is <|endoftext|> tired.",
    "Emily and Greg are going to the market to buy bread and the nurse said that she was tired and late.",
)
MULTI = "multi_label_classification"


def said(*texts: str) -> list[Said]:
    return [Said(prompt="", continuation=text) for text in texts]


def judge(folder: Path, room: Room | None = None, **given) -> Judge:
    return toxicity.prepare({**toxicity.OPTIONS, "by": str(folder), **given}, room or Room(device="cpu"))


def values(rows: list[dict]) -> np.ndarray:
    return np.array([row["toxicity"] for row in rows])


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[tuple[str, bool], Path]:
    """Ready classifiers by build and by whether their labels may hold together."""
    found = {}
    for build in ("bert", "gpt2"):
        for several in (False, True):
            labels = LABELS if several else ("neutral", "toxic", "spam")
            pad = {"pad_token_id": 0} if build == "gpt2" else {}
            kind = MULTI if several else "single_label_classification"
            found[build, several] = toys.ready(tmp_path_factory.mktemp("ready"), build, labels, problem_type=kind, **pad)
    return found


def plain(folder: Path, text: str, limit: int, several: bool) -> np.ndarray:
    """One text, one forward pass, and what transformers says a head of this kind means."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = network(**tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)).logits[0].double()
    return (torch.sigmoid(logits) if several else torch.softmax(logits, -1)).numpy()


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("build", ["bert", "gpt2"])
def test_it_says_what_the_network_says_of_one_text_at_a_time(folders, build, several):
    folder = folders[build, several]
    found = judge(folder)
    number, limit = (0 if several else 1), found.identity["max_length"]
    wanted = [plain(folder, text, limit, several)[number] for text in TEXTS]
    rows = found.judge(said(*TEXTS))
    np.testing.assert_allclose(values(rows), wanted, atol=1e-6)
    assert np.ptp(values(rows)) > 0.05, "the texts must be told apart"
    assert all(0 <= value <= 1 for value in values(rows))


def test_it_is_what_the_pipeline_of_transformers_says(folders):
    for several in (False, True):
        folder = folders["bert", several]
        pipe = transformers.pipeline("text-classification", str(folder), top_k=None, truncation=True, max_length=40, device="cpu")
        label = "toxicity" if several else "toxic"
        wanted = [next(x["score"] for x in found if x["label"] == label) for found in pipe(list(TEXTS))]
        np.testing.assert_allclose(values(judge(folder).judge(said(*TEXTS))), wanted, atol=1e-6)


@pytest.mark.parametrize("build", ["bert", "gpt2"])
def test_batch_and_order_change_no_judgement(folders, build):
    folder = folders[build, True]
    alone = judge(folder, Room(device="cpu", batching=Batching(rows=1))).judge(said(*TEXTS))
    together = judge(folder, Room(device="cpu", batching=Batching(rows=len(TEXTS)))).judge(said(*TEXTS))
    turned = judge(folder, Room(device="cpu", batching=Batching(budget=40))).judge(said(*TEXTS[::-1]))[::-1]
    for found in (together, turned):
        np.testing.assert_allclose(values(found), values(alone), atol=1e-6)


def test_without_a_padding_token_texts_go_one_at_a_time(tmp_path):
    folder = toys.ready(tmp_path, "gpt2", LABELS, problem_type=MULTI)
    found = judge(folder)
    wanted = [plain(folder, text, found.identity["max_length"], True)[0] for text in TEXTS]
    np.testing.assert_allclose(values(found.judge(said(*TEXTS))), wanted, atol=1e-6)


def test_a_network_that_takes_padding_for_text_gets_texts_of_one_length(tmp_path):
    """XLNet's head reads the last place, whatever stands there."""
    tokenizer = toys.tiny.wordpiece()
    config = transformers.XLNetConfig(
        vocab_size=len(tokenizer), d_model=24, n_layer=2, n_head=2, d_inner=32, pad_token_id=0, id2label={0: "fine", 1: "toxic"}
    )
    folder = tmp_path / "xlnet"
    toys.tiny.save(folder, toys.tiny.spread(transformers.XLNetForSequenceClassification(config)), tokenizer)
    found = judge(folder, Room(device="cpu", batching=Batching(rows=len(TEXTS))))
    wanted = [plain(folder, text, found.identity["max_length"], False)[1] for text in TEXTS]
    np.testing.assert_allclose(values(found.judge(said(*TEXTS))), wanted, atol=1e-6)


def test_equal_texts_are_asked_once_and_texts_that_are_equal_after_the_cut_too(folders, monkeypatch):
    asked = []
    load = classifying.load

    def counting(*arguments):
        model = load(*arguments)
        forward = model.network.forward

        def counted(**given):
            asked.append(len(given["input_ids"]))
            return forward(**given)

        monkeypatch.setattr(model.network, "forward", counted)
        return model

    monkeypatch.setattr(classifying, "load", counting)
    monkeypatch.setattr(classifying, "mixes_lengths", lambda model, pad: True)  # its trial would be counted
    found = judge(folders["bert", True], max_length="8")
    long = "She is tired. She is late and the old wooden house is near the river."
    rows = found.judge(said("He", "He", long, long + " It's raining", "She"))
    assert sum(asked) == 3
    assert rows[0] == rows[1] and rows[2] == rows[3] and rows[0] != rows[4]


def test_long_texts_are_cut_at_their_end_and_a_note_says_so(folders):
    folder = folders["bert", False]
    found = judge(folder, max_length="10")
    for text in TEXTS:
        np.testing.assert_allclose(values(found.judge(said(text)))[0], plain(folder, text, 10, False)[1], atol=1e-6)
    assert any("first 10 tokens" in note and "cut at its end" in note for note in found.notes)
    assert not np.allclose(values(found.judge(said(TEXTS[-1]))), values(judge(folder).judge(said(TEXTS[-1]))), atol=1e-3)
    assert found.identity["max_length"] == 10 and judge(folder).identity["max_length"] == 40


def test_nothing_is_loaded_before_the_first_text_that_can_be_judged(folders, monkeypatch):
    loads = []
    load = classifying.load
    monkeypatch.setattr(classifying, "load", lambda *arguments: loads.append(1) or load(*arguments))
    found = judge(folders["bert", True])
    assert found.judge([]) == [] and found.judge(said("", " \n")) == [{FAILED: "the continuation is empty"}] * 2
    assert not loads
    found.judge(said("He"))
    found.judge(said("She"))
    assert loads == [1]


def test_a_text_without_tokens_fails_and_the_others_do_not(folders):
    found = judge(folders["bert", True])
    rows = found.judge(said("\u200b", "He"))  # BERT's normalizer takes it away
    assert rows[0] == {FAILED: "text without tokens"} and rows[1] == found.judge(said("He"))[0]


def test_what_is_not_finite_fails_alone(folders, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in folders["bert", True].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    weights["bert.embeddings.word_embeddings.weight"][tokenizer("violin")["input_ids"][1]] = math.nan
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    rows = judge(folder).judge(said("plays the violin", "He", "the river"))
    assert rows[0] == {FAILED: "a probability is not finite"}
    whole = judge(folders["bert", True]).judge(said("He", "the river"))
    np.testing.assert_allclose(values(rows[1:]), values(whole), atol=1e-6)


def test_the_identity_names_all_that_can_change_a_judgement_and_no_path(folders, tmp_path):
    folder = folders["bert", True]
    found = judge(folder)
    written = json.dumps(found.identity)
    assert str(folder.parent) not in written and found.identity["by"] == "bert" and found.identity["dtype"] == "float32"
    assert str(folder.parent) not in " ".join(found.notes)
    assert judge(folder).identity == found.identity
    assert judge(folder, Room(device="cpu", batching=Batching(rows=1))).identity == found.identity
    others = [judge(folder, rule="any"), judge(folder, label="female"), judge(folder, max_length=9)]
    others.append(judge(folders["bert", False], label="toxic"))
    assert len({json.dumps(other.identity, sort_keys=True) for other in (found, *others)}) == 5
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    copy = tmp_path / "bert"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert judge(copy).identity == found.identity
    safetensors.torch.save_file({**weights, "classifier.bias": weights["classifier.bias"] + 1}, copy / "model.safetensors")
    assert judge(copy).identity != found.identity


def refused(folder: Path, **given) -> str:
    with pytest.raises(FairbenchError) as error:
        judge(folder, **given)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_no_classifier_of_probabilities_is_refused(tmp_path):
    toys.tiny.gpt2(tmp_path / "gpt2")
    assert "is no classifier of texts (GPT2LMHeadModel)" in refused(tmp_path / "gpt2")
    number = toys.ready(tmp_path / "one", "bert", ("score",), problem_type="regression")
    assert "a number and no probability (labels: score; problem_type: regression)" in refused(number)
    for name, config in (("unsaid", {"function_to_apply": "none"}), ("lone", {})):
        labels = ("toxic",) if name == "lone" else ("neutral", "toxic")
        assert "a number and no probability" in refused(toys.ready(tmp_path / name, "bert", labels, **config))
    lone = toys.ready(tmp_path / "lone sigmoid", "bert", ("toxic",), problem_type=MULTI)
    assert 0 < values(judge(lone).judge(said("He")))[0] < 1


def test_a_sigmoid_that_only_the_pipelines_setting_tells_of_is_one(tmp_path):
    folder = toys.ready(tmp_path, "bert", LABELS, function_to_apply="sigmoid")
    assert judge(folder).identity["reads"] == "a sigmoid a label"
    np.testing.assert_allclose(values(judge(folder).judge(said("He"))), plain(folder, "He", 40, True)[0], atol=1e-6)


def test_a_head_that_is_not_in_the_checkpoint_is_refused_at_the_first_judgement(folders, tmp_path):
    folder = tmp_path / "headless"
    folder.mkdir()
    for path in folders["bert", True].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    safetensors.torch.save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(FairbenchError, match=r"weights lack classifier\.bias, classifier\.weight"):
        judge(folder).judge(said("He"))


@pytest.mark.parametrize("length", ["0", "-3", "many", "2.5", "7", "41"])
def test_lengths_that_can_not_be_are_refused(folders, length):
    assert "max_length" in refused(folders["bert", True], max_length=length)


def test_a_model_that_is_not_here_is_absent_and_the_message_says_what_to_do(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for by in (toxicity.DEFAULT, "nobody/nothing", str(tmp_path / "nowhere")):
        with pytest.raises(DataAbsent) as error:
            judge(by)
        assert "--judge toxicity=FOLDER" in str(error.value) and "--judge toxicity=words" in str(error.value)
        assert by in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(DataAbsent, match=r"--judge regard=FOLDER"):
        regard.prepare(dict(regard.OPTIONS), Room(device="cpu"))


def test_a_hub_out_of_reach_is_said_at_once_also_for_a_pinned_commit(tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub import constants

    def unreachable(*arguments, **given):
        raise OSError("no route to the Hub")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    with pytest.raises(DataAbsent, match=r"could not be reached \(no route to the Hub\)\. .*--judge toxicity=words"):
        judge(toxicity.DEFAULT)


def test_what_is_here_and_can_not_be_used_is_a_wrong_request(tmp_path, folders):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FairbenchError, match=r"The judge toxicity can't judge by .*has no config\.json") as error:
        judge(tmp_path / "empty")
    assert not isinstance(error.value, DataAbsent)
    with pytest.raises(FairbenchError, match="only models of the Hub have revisions") as error:
        judge(folders["bert", True], revision="main")
    assert not isinstance(error.value, DataAbsent)
    assert "needs a model to judge by" in refused("")
    assert "allow_pickle" in refused(folders["bert", True], allow_pickle="perhaps")


def card(name: str, revision: str | None) -> ModelCard:
    return ModelCard(name=name, folder="/somewhere/snapshots/abc", kind="encoder", architecture="", revision=revision)


def test_a_branch_is_noted_as_unpinned_and_a_commit_is_not():
    commit = "0123456789" * 4
    asked = finding.named("toxicity", {**finding.OPTIONS, "by": "a/b"}, "Do.", {"a/b": commit})
    assert asked.revision == commit and finding.notes(asked, card("a/b", commit)) == ()
    other = finding.named("toxicity", {**finding.OPTIONS, "by": "c/d"}, "Do.", {"a/b": commit})
    assert other.revision is None
    assert f"--judge toxicity=c/d,revision={commit}" in finding.notes(other, card("c/d", commit))[0]
    branch = dataclasses.replace(other, revision="v2")
    assert "the commit of v2" in finding.notes(branch, card("c/d", commit))[0]
    flawed = dataclasses.replace(card("c/d", None), notes=("The tokenizer puts its first special token twice.",))
    assert finding.notes(other, flawed) == ("The judge toxicity: The tokenizer puts its first special token twice.",)
    assert finding.identity(card("c/d", commit))["by"] == "c/d" and finding.identity(card("/x/y", None))["by"] == "abc"


def test_options_may_be_text_or_what_they_mean():
    assert (
        finding.yes("j", {"a": True}, "a") and finding.yes("j", {"a": " TRUE "}, "a") and not finding.yes("j", {"a": False}, "a")
    )
    assert finding.positive("j", {"a": ""}, "a") is None and finding.positive("j", {"a": 12}, "a") == 12
    assert finding.listed("j", {"a": " x + y"}, "a") == ("x", "y") and finding.listed("j", {"a": ""}, "a") == ()
    for wrong in ("x++y", "x+X", "+"):
        with pytest.raises(FairbenchError, match=r"wanted different names joined by \+"):
            finding.listed("j", {"a": wrong}, "a")


@pytest.mark.parametrize(
    ("prompt", "continuation", "wanted"),
    [
        ("The man worked as", " a baker.", "The man worked as a baker."),
        ("The man worked as", "a baker.", "The man worked as a baker."),
        ("The man worked as ", "a baker.", "The man worked as a baker."),
        ("Who was it?", "A baker.", "Who was it? A baker."),
        ("The man", "'s bread", "The man's bread"),
        ("The man (", "a baker)", "The man (a baker)"),
        ("The man", ", a baker", "The man, a baker"),
        ("part-", "time", "part-time"),
        ("", "a baker", "a baker"),
        ("The man\n", "a baker", "The man\na baker"),
    ],
)
def test_prompt_and_continuation_become_one_text(prompt, continuation, wanted):
    assert joined.joined(prompt, continuation) == wanted


def test_folders_laid_out_as_the_published_classifiers_are_judged_by(tmp_path):
    """Vocabulary files of the old sort without tokenizer.json, and a table of positions among the weights."""
    folder, tokenizer = tmp_path / "roberta", toys.tiny.byte_level_masked()
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=514, pad_token_id=1, id2label=dict(enumerate(LABELS)), problem_type=MULTI,
    )  # fmt: skip
    toys.tiny.save(folder, toys.tiny.spread(transformers.RobertaForSequenceClassification(config)), tokenizer)
    alone = judge(folder)
    inner = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in inner["merges"])])
    old = tmp_path / "old"
    old.mkdir()
    (old / "vocab.json").write_text(json.dumps(inner["vocab"]), encoding="utf-8")
    (old / "merges.txt").write_text(f"{merges}\n", encoding="utf-8")
    (old / "tokenizer_config.json").write_text('{"model_max_length": 512, "add_prefix_space": false}', encoding="utf-8")
    (old / "config.json").write_bytes((folder / "config.json").read_bytes())
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights["roberta.embeddings.position_ids"] = torch.arange(514)[None]
    safetensors.torch.save_file(weights, old / "model.safetensors", {"format": "pt"})
    found = judge(old)
    assert found.identity["max_length"] == 512 and found.identity["label"] == ["toxicity"]
    np.testing.assert_allclose(values(found.judge(said(*TEXTS[:4]))), values(alone.judge(said(*TEXTS[:4]))), atol=1e-6)


@pytest.mark.parametrize("module", [neutral, joined, regard])
def test_its_examples_are_right(module):
    failed, attempted = doctest.testmod(module)
    assert attempted > 0 and failed == 0

import dataclasses
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
import transformers
from huggingface_hub import constants, errors

from fairbench.errors import FairbenchError
from fairbench.models.loading import SANITY_TEXT, choose_device, inspect_model, load, sanity_text
from fairbench.models.model import ModelOptions

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """One folder of each kind; tests that spoil one copy it first."""
    folder = tmp_path_factory.mktemp("models")
    tiny.gpt2(folder / "gpt2")
    tiny.bert(folder / "bert")
    tiny.bert(folder / "encoder", "BertModel")
    tiny.llama(folder / "llama")
    return folder


@pytest.fixture
def copy(built, tmp_path):
    def make(name):
        return Path(shutil.copytree(built / name, tmp_path / name))

    return make


@pytest.fixture
def cache(built, tmp_path, monkeypatch):
    """A cache of the Hub in its real layout, with one model in it, and no network."""
    root = tmp_path / "hub"
    model = root / "models--someone--tiny-gpt2"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(SHA)
    (model / "blobs").mkdir()
    snapshot = model / "snapshots" / SHA
    snapshot.mkdir(parents=True)
    for file in (built / "gpt2").iterdir():
        blob = model / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, blob)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return root


def edit(folder, name="config.json", **changes):
    path = folder / name
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def refusal(name, **options):
    with pytest.raises(FairbenchError) as caught:
        inspect_model(str(name), ModelOptions(**options))
    text = str(caught.value)
    assert "\n" not in text
    return text


def card_of(folder, **options):
    return inspect_model(str(folder), ModelOptions(**options))


class TestCard:
    def test_causal(self, built):
        card = card_of(built / "gpt2")
        assert (card.kind, card.architecture, card.start_rule) == ("causal", "GPT2LMHeadModel", "bos")
        assert (card.has_mask, card.lower_case, card.next_sentence) == (False, False, False)
        assert (card.layers, card.max_length) == (3, 32)  # the tokenizer's 32 is less than the model's 48
        assert card.notes == ()
        assert card.revision is None

    def test_masked(self, built):
        card = card_of(built / "bert")
        assert (card.kind, card.next_sentence, card.start_rule) == ("masked", True, "none")
        assert (card.has_mask, card.lower_case, card.max_length) == (True, True, 40)

    def test_encoder(self, built):
        assert card_of(built / "encoder").kind == "encoder"

    def test_length_when_the_tokenizer_does_not_know(self, built):
        assert card_of(built / "llama").max_length == 64

    @pytest.mark.parametrize("name", ["gpt2", "bert", "encoder", "llama"])
    def test_parameters_are_counted_by_the_headers(self, built, name):
        card = card_of(built / name)
        assert card.parameters == sum(p.numel() for p in load(card).network.parameters()) + (
            24 * 24 + 24 + 2 * 24 + 2 if name == "bert" else 0  # its file holds the next-sentence head too
        )

    def test_hashes(self, built, copy):
        card, folder = card_of(built / "gpt2"), copy("gpt2")
        assert card.weights_sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        (folder / "README.md").write_text("new")
        again = card_of(folder)
        assert (again.weights_sha256, again.tokenizer_sha256) == (card.weights_sha256, card.tokenizer_sha256)
        edit(folder, "tokenizer_config.json", model_max_length=16)
        other = card_of(folder)
        assert other.tokenizer_sha256 != card.tokenizer_sha256
        assert other.weights_sha256 == card.weights_sha256

    def test_shards_count_as_one_model(self, built, tmp_path):
        network = load(card_of(built / "gpt2")).network
        tiny.save(tmp_path, network, tiny.byte_level_bpe())
        (tmp_path / "model.safetensors").unlink()
        network.save_pretrained(tmp_path, max_shard_size="20KB")
        card = card_of(tmp_path)
        shards = sorted(tmp_path.glob("*safetensors*"))
        assert len(shards) > 2
        assert card.weights_sha256 == hashlib.sha256(b"".join(p.read_bytes() for p in shards)).hexdigest()
        assert card.parameters == card_of(built / "gpt2").parameters
        (shards[0]).unlink()
        assert f"not in {tmp_path}: {shards[0].name}" in refusal(tmp_path)

    def test_roberta_positions_begin_after_the_padding(self, tmp_path):
        tokenizer = tiny.wordpiece()
        config = transformers.RobertaConfig(
            vocab_size=len(tokenizer),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
            max_position_embeddings=34,
            pad_token_id=1,
        )
        card = card_of(tiny.save(tmp_path, transformers.RobertaForMaskedLM(config), tokenizer))
        assert card.max_length == 32
        network = load(card).network
        network(torch.full((1, 32), 7))
        with pytest.raises((IndexError, RuntimeError)):
            network(torch.full((1, 33), 7))

    def test_start_rule_falls_to_eos(self, copy):
        folder = copy("gpt2")
        edit(folder, "tokenizer_config.json", bos_token=...)
        assert card_of(folder).start_rule == "eos"

    def test_fine_tuned_classifier_is_an_encoder(self, tmp_path):
        card = card_of(tiny.bert(tmp_path, "BertForSequenceClassification"))
        assert card.kind == "encoder"
        load(card)

    def test_doubled_special_token_is_noted(self, copy):
        folder = copy("llama")
        path = folder / "tokenizer.json"
        path.write_text(path.read_text().replace('"single": [', '"single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},'))
        assert card_of(folder).notes == ("The tokenizer puts its first special token twice.",)

    def test_dtype_auto_becomes_a_name(self, built):
        assert card_of(built / "gpt2", dtype="auto").options.dtype == "float32"

    def test_as_dict_is_plain(self, built):
        card = card_of(built / "gpt2")
        assert json.loads(json.dumps(card.as_dict())) == card.as_dict()


class TestRefusals:
    def test_no_config(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        assert "it has no config.json (found: notes.txt)" in refusal(tmp_path)

    def test_adapter(self, tmp_path):
        (tmp_path / "adapter_config.json").write_text("{}")
        assert "holds an adapter" in refusal(tmp_path)

    def test_config_that_is_no_json(self, copy):
        folder = copy("gpt2")
        (folder / "config.json").write_text("{")
        assert "can't be read as JSON" in refusal(folder)

    def test_no_weights(self, copy):
        folder = copy("gpt2")
        (folder / "model.safetensors").unlink()
        assert "has no weights" in refusal(folder)

    def test_cut_weights(self, copy):
        folder = copy("gpt2")
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        assert "corrupt or cut short" in refusal(folder)
        path.write_bytes(b"nonsense")
        assert "corrupt or cut short" in refusal(folder)

    def test_pickle_needs_a_flag(self, built, copy):
        folder = copy("gpt2")
        (folder / "model.safetensors").unlink()
        torch.save(load(card_of(built / "gpt2")).network.state_dict(), folder / "pytorch_model.bin")
        assert "only pickle weights (pytorch_model.bin)" in refusal(folder)
        card = card_of(folder, allow_pickle=True)
        assert card.parameters is None
        text = torch.tensor([[1, 2, 3]])
        wanted = load(card_of(built / "gpt2")).network(text).logits
        assert torch.equal(load(card).network(text).logits, wanted)

    def test_safetensors_win_over_pickles(self, copy):
        folder = copy("gpt2")
        (folder / "pytorch_model.bin").write_bytes(b"never read")
        assert load(card_of(folder, allow_pickle=True)).card.parameters

    @pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
    def test_custom_code_needs_a_flag(self, copy, file):
        folder = copy("gpt2")
        edit(folder, file, auto_map={"AutoModelForCausalLM": "modeling.Mine"})
        assert "brings code of its own (auto_map" in refusal(folder)

    def test_no_tokenizer(self, copy):
        folder = copy("gpt2")
        for file in folder.glob("tokenizer*"):
            file.unlink()
        assert "has no tokenizer" in refusal(folder)

    def test_broken_tokenizer(self, copy):
        folder = copy("gpt2")
        (folder / "tokenizer.json").write_text('{"model": 3}')
        assert "The tokenizer of" in refusal(folder)

    def test_another_models_tokenizer(self, copy, built):
        folder = copy("llama")
        shutil.copy(built / "gpt2" / "tokenizer.json", folder)
        shutil.copy(built / "gpt2" / "tokenizer_config.json", folder)
        assert "another model's tokenizer" in refusal(folder)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"architectures": ...}, "config.json has no `architectures`"),
            ({"architectures": ["GPT2ForSpeech"]}, "is a GPT2ForSpeech, which is neither"),
            ({"model_type": "never-heard-of"}, "configuration of"),
            ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "is an encoder-decoder (t5)"),
            ({"model_type": "vit", "architectures": ["ViTModel"], "vocab_size": ...}, "is no text model (vit"),
            ({"model_type": "bert", "architectures": ["BertLMHeadModel"], "is_decoder": False}, "does not say is_decoder"),
        ],
    )
    def test_kind(self, copy, changes, message):
        folder = copy("gpt2")
        edit(folder, **changes)
        assert message in refusal(folder)

    def test_chat_template_that_is_not_there(self, built):
        assert "has no chat template" in refusal(built / "gpt2", apply_chat_template=True)

    def test_options(self, built):
        assert "Unknown dtype 'float23'. Did you mean float32" in refusal(built / "gpt2", dtype="float23")
        assert "Unknown device 'gpu'" in refusal(built / "gpt2", device="gpu")
        assert "Unknown device 'cpu:x'" in refusal(built / "gpt2", device="cpu:x")
        assert "Unknown attention 'sdpaa'. Did you mean sdpa" in refusal(built / "gpt2", attention="sdpaa")
        assert "only models of the Hub have revisions" in refusal(built / "gpt2", revision="main")

    def test_device_that_is_not_there(self, built):
        missing = f"cuda:{torch.cuda.device_count()}"
        assert f"The device {missing} was asked for, but this machine has" in refusal(built / "gpt2", device=missing)
        assert choose_device("cpu") == torch.device("cpu")


class TestNames:
    def test_path_that_does_not_exist(self, built):
        text = refusal(built / "gpt")
        assert "does not exist. Did you mean gpt2" in text
        assert "Its parent" in refusal(built / "nowhere" / "gpt2")

    def test_file(self, built):
        assert f"give the folder {built / 'gpt2'}" in refusal(built / "gpt2" / "config.json")

    def test_planted(self):
        assert "no planted model 'nothing-of-the-sort'" in refusal("planted:nothing-of-the-sort")

    def test_planted_folder_brings_its_own_sanity_text(self, copy):
        folder = copy("gpt2")
        assert sanity_text(card_of(folder)) == SANITY_TEXT
        (folder / "card.json").write_text(json.dumps({"sanity_text": "The nurse came home."}))
        assert sanity_text(card_of(folder)) == "The nurse came home."

    def test_planted_name_leads_to_its_folder(self, built, monkeypatch, tmp_path):
        (tmp_path / "models").symlink_to(built)
        monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
        assert inspect_model("planted:bert").kind == "masked"
        assert "Did you mean bert? This package holds: bert, encoder, gpt2, llama." in refusal("planted:brt")


class TestHub:
    def test_cached_model_without_network(self, cache, built):
        card = inspect_model("someone/tiny-gpt2")
        assert (card.revision, card.name) == (SHA, "someone/tiny-gpt2")
        assert Path(card.folder) == cache / "models--someone--tiny-gpt2" / "snapshots" / SHA
        assert card.weights_sha256 == card_of(built / "gpt2").weights_sha256
        assert card_of("someone/tiny-gpt2", revision=SHA).revision == SHA
        load(card)

    def test_not_in_the_cache(self, cache):
        text = refusal("someone/tiny-gpt")
        assert "does not hold it. Did you mean someone/tiny-gpt2? HF_HUB_OFFLINE is set" in text
        assert "at revision 'v2'" in refusal("someone/tiny-gpt2", revision="v2")

    def test_part_of_a_snapshot_is_named(self, cache):
        snapshot = cache / "models--someone--tiny-gpt2" / "snapshots" / SHA
        (snapshot / "model.safetensors").unlink()
        assert "has no weights" in refusal("someone/tiny-gpt2")

    def test_variables_of_the_environment(self, cache):
        """The same in a process of its own, where the Hub's library reads its variables itself."""
        code = "from fairbench.models.loading import inspect_model as i, load; print(load(i('someone/tiny-gpt2')).card.revision)"
        env = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.stderr, done.returncode) == (SHA, "", 0)

    @pytest.mark.parametrize(
        ("kind", "status", "message"),
        [
            (errors.RepositoryNotFoundError, 404, "the Hub has no public model of that name"),
            (errors.GatedRepoError, 403, "is gated"),
            (errors.RevisionNotFoundError, 404, "has no revision 'v9'"),
            (errors.HfHubHTTPError, 401, "refused to hand out someone/else (401, not authorised)"),
            (errors.HfHubHTTPError, 503, "could not be reached"),
        ],
    )
    def test_what_the_hub_answers(self, monkeypatch, kind, status, message):
        class Response:
            status_code, headers, request = status, {}, None

        def fail(*args, **kwargs):
            raise kind("no\nmore", response=Response())

        monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        assert message in refusal("someone/else", revision="v9")

    def test_no_network(self, monkeypatch, tmp_path):
        def fail(*args, **kwargs):
            raise errors.LocalEntryNotFoundError("long story\nof many lines") from ConnectionError("name resolution failed")

        monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        assert "could not be reached (name resolution failed)" in refusal("someone/else")

    def test_no_id_at_all(self, cache):
        assert "can't be a Hub id either" in refusal("what is this?")

    def test_only_inert_files_are_fetched(self, monkeypatch, built):
        asked = []

        def fetch(name, **options):
            asked.append(options)
            return str(built / "gpt2")

        monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
        card_of("someone/tiny", revision="v1")
        card_of("someone/tiny", allow_pickle=True, trust_remote_code=True)
        assert asked[0]["revision"] == "v1"
        assert asked[0]["allow_patterns"] == ["*.json", "*.txt", "*.model", "*.safetensors", "*.jinja"]
        assert asked[1]["allow_patterns"][5:] == ["*.bin", "*.py"]


class TestLoad:
    @pytest.mark.parametrize(
        ("name", "wanted"),
        [("gpt2", "GPT2LMHeadModel"), ("bert", "BertForMaskedLM"), ("encoder", "BertModel"), ("llama", "LlamaForCausalLM")],
    )
    def test_class_and_state(self, built, name, wanted, capfd):
        model = load(card_of(built / name, device="cpu"))
        assert type(model.network).__name__ == wanted
        assert not model.network.training
        assert not any(p.requires_grad for p in model.network.parameters())
        assert model.network.dtype == torch.float32
        assert model.device == torch.device("cpu")
        assert capfd.readouterr() == ("", "")

    def test_dtype_and_attention(self, built):
        network = load(card_of(built / "gpt2", dtype="bfloat16", attention="eager")).network
        assert network.dtype == torch.bfloat16
        assert network.config._attn_implementation == "eager"

    def test_next_sentence_head(self, built):
        card = card_of(built / "bert")
        network = load(card, head="next-sentence").network
        saved = transformers.BertForPreTraining.from_pretrained(built / "bert").state_dict()["cls.seq_relationship.weight"]
        assert torch.equal(network.cls.seq_relationship.weight, saved)
        with pytest.raises(FairbenchError, match="has no next-sentence head"):
            load(card_of(built / "gpt2"), head="next-sentence")

    @pytest.mark.parametrize(
        ("name", "claimed", "key"),
        [
            ("encoder", "BertForMaskedLM", "cls.predictions.bias"),
            ("encoder", "BertForPreTraining", "cls.predictions.bias"),
            ("bert", "BertLMHeadModel", None),
        ],
    )
    def test_head_that_is_not_in_the_file(self, copy, name, claimed, key, capfd):
        folder = copy(name)
        edit(folder, architectures=[claimed], is_decoder=True)
        card = card_of(folder)
        if key is None:
            load(card)
            return
        with pytest.raises(FairbenchError) as caught:
            load(card)
        assert f"says that it is a {claimed}, but its weights lack {key}" in str(caught.value)
        assert "at random" in str(caught.value)
        assert capfd.readouterr().err == ""

    def test_next_sentence_head_that_is_not_in_the_file(self, tmp_path):
        folder = tiny.bert(tmp_path, "BertForMaskedLM")
        edit(folder, architectures=["BertForPreTraining"])
        card = card_of(folder)
        load(card)
        with pytest.raises(FairbenchError, match=r"lack bert\.pooler.*cls\.seq_relationship"):
            load(card, head="next-sentence")

    def test_untied_head_that_is_not_in_the_file(self, copy):
        folder = copy("gpt2")
        edit(folder, tie_word_embeddings=False)
        with pytest.raises(FairbenchError, match=r"lack lm_head\.weight"):
            load(card_of(folder))

    def test_layers_that_are_not_in_the_file(self, copy):
        folder = copy("encoder")
        edit(folder, num_hidden_layers=3)
        with pytest.raises(FairbenchError, match=r"lack encoder\.layer\.2\."):
            load(card_of(folder))

    def test_encoder_without_a_pooler(self, tmp_path):
        folder = tiny.bert(tmp_path, "BertForMaskedLM")
        edit(folder, architectures=["BertModel"])
        assert type(load(card_of(folder)).network).__name__ == "BertModel"

    def test_weights_of_another_shape(self, copy):
        folder = copy("gpt2")
        edit(folder, n_positions=40)
        with pytest.raises(FairbenchError, match="can't be loaded as GPT2LMHeadModel"):
            load(card_of(folder))

    def test_settings_of_transformers_are_put_back(self, built):
        from transformers.utils import logging

        before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
        load(card_of(built / "gpt2"))
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before

    def test_cards_differ_only_in_what_was_asked(self, built):
        one, two = card_of(built / "gpt2"), card_of(built / "gpt2", dtype="float64")
        assert dataclasses.replace(two, options=one.options) == one

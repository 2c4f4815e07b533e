"""Log-probabilities of options from a server in vLLM's manner, against what the stand-in defines."""

import importlib.util
import math
import sys
from pathlib import Path

import pytest

from fairbench.errors import FairbenchError
from fairbench.models import endpoint
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions, Serving
from fairbench.models.secret import KEYS
from fairbench.models.wire import FIRST, NOT_FINITE, UNMATCHED, log_probability, token_ends

SPEC = importlib.util.spec_from_file_location("serving", Path(__file__).with_name("serving.py"))
serving = importlib.util.module_from_spec(SPEC)
sys.modules["serving"] = serving  # its dataclasses look their module up
SPEC.loader.exec_module(serving)
Answer, StandIn, MODEL = serving.Answer, serving.StandIn, serving.MODEL


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def like_vllm(start="<s>"):
    return lambda path, body, times: Answer(serving.completion(body, start)) if body.get("echo") else None


def connect(server, chat=False):
    options = ModelOptions(url=server.url, apply_chat_template=chat, serving=Serving(retries=1, timeout=5))
    return load(inspect_model(MODEL, options))


def wanted(context, option, start="<s>"):
    """Brute force: each token of the whole text with its place; those that reach beyond the context count."""
    tokens = serving.tokens_of(context + option)
    total, count, place = 0.0, 0, 0
    for n, token in enumerate(tokens):
        place += len(token)
        if place > len(context):
            total += serving.value_of([*([start] if start else []), *tokens[: n + 1]])
            count += 1
    return pytest.approx(total, abs=1e-12), count


PAIRS = [
    ("The nurse said that", " she was tired."),
    ("The nurse said that", " he was tired."),
    ("The nurse said tha", "t she"),  # a token stands across the border, and is the option's
    ("", "The nurse was tired."),
    ("The nurse said that ", "she"),
    ("Line\nbreak", " \n  and  spaces"),
    ("Émile", " Zola était là"),
]


class TestOptions:
    def test_against_brute_force(self):
        with StandIn(like_vllm()) as server:
            found = connect(server).option_log_probabilities(PAIRS)
        assert found == [wanted(*pair) for pair in PAIRS]
        assert found[0] != found[1]

    def test_the_chain_rule(self):
        with StandIn(like_vllm()) as server:
            model = connect(server)
            whole, first, rest = model.option_log_probabilities([("", "The nurse sang."), ("", "The"), ("The", " nurse sang.")])
        assert whole == (pytest.approx(first[0] + rest[0]), first[1] + rest[1])

    def test_without_a_start_token_a_first_token_has_no_probability(self):
        with StandIn(like_vllm(start=None)) as server:
            found = connect(server).option_log_probabilities([("", "The nurse"), ("The", " nurse")])
        assert found == [FIRST, wanted("The", " nurse", start=None)]

    def test_equal_pairs_are_asked_once_and_kept(self, tmp_path):
        with StandIn(like_vllm()) as server:
            for _ in range(2):
                model = connect(server)
                model.remember(tmp_path / "r.jsonl")
                found = model.option_log_probabilities([("a", " b"), ("a b", " c"), ("a", " b")])
                assert found[0] == found[2]
            echoes = [body["prompt"] for path, body, _ in server.asked if body.get("echo")]
        assert sorted(echoes) == ["Make up a short story."] * 0 + ["Once there was a river."] * 2 + ["a b", "a b c"]

    def test_a_text_that_is_refused(self):
        def rule(path, body, times):
            too_long = len(str(body.get("prompt"))) > 60
            return Answer({"error": {"message": "too long"}}, 400) if too_long else like_vllm()(path, body, times)

        with StandIn(rule) as server:
            found = connect(server).option_log_probabilities([("a", " b"), ("a" * 80, " b")])
        assert found == [wanted("a", " b"), "the server answered HTTP 400 (too long)"]

    @pytest.mark.parametrize("chat", [False, True])
    def test_of_a_server_without_them_is_refused(self, chat):
        rule = like_vllm() if chat else None
        with StandIn(rule) as server, pytest.raises(FairbenchError, match="gives no log-probabilities of a prompt's tokens"):
            connect(server, chat).option_log_probabilities([("a", " b")])


def reply(tokens, values, prompt_tokens=None):
    return {"tokens": tokens, "log_probs": values, **({"prompt_tokens": prompt_tokens} if prompt_tokens else {})}


class TestReplies:
    def test_by_hand(self):
        found = reply(["<s>", "The", " nurse", " sang", "."], [None, -1.0, -2.0, -0.25, -9.0], 4)
        assert log_probability(found, "The", " nurse sang") == (-2.25, 2)
        assert log_probability(found, "The nurse", " sang") == (-0.25, 1)
        assert log_probability(found, "", "The nurse sang") == (-3.25, 3)

    def test_without_a_count_the_last_token_is_the_one_that_was_written(self):
        assert log_probability(reply(["<s>", "A", " b", "!"], [None, -1.0, -2.0, -4.0]), "A", " b") == (-2.0, 1)

    def test_tokens_whose_spaces_are_lost(self):
        """SentencePiece, token by token: the space before a word is not there, and a space alone is nothing."""
        found = reply(["<s>", "The", "nurse", "is", "", "4", "0", "."], [None, -1.0, -2.0, -4.0, -8.0, -16.0, -32.0, -64.0], 7)
        assert log_probability(found, "The nurse is", " 40") == (-56.0, 3)
        assert log_probability(found, "The nurse", " is 40") == (-60.0, 4)

    def test_a_start_token_that_is_written_as_nothing(self):
        assert log_probability(reply(["", "A", " b", "!"], [None, -1.0, -2.0, -4.0], 3), "", "A b") == (-3.0, 2)

    @pytest.mark.parametrize(
        ("found", "reason"),
        [
            (reply([], []), "the server gives no log-probabilities of a prompt"),
            ({}, "the server gives no log-probabilities of a prompt"),
            (reply(["A", " b"], [None]), "the server gives no log-probabilities of a prompt"),
            (reply(["!"], [-1.0], 2), UNMATCHED),
            (reply(["<s>", "A", " c", "!"], [None, -1.0, -1.0, -1.0], 3), UNMATCHED),
            (reply(["token_id:5", "token_id:6", "token_id:7"], [None, -1.0, -1.0], 2), UNMATCHED),
            (reply(["A", "\ufffd", "\ufffd", "!"], [None, -1.0, -1.0, -1.0], 3), UNMATCHED),
            (reply(["A b", "!"], [None, -1.0], 1), FIRST),
            (reply(["<s>", "A", " b", "!"], [None, -1.0, -9999.0, -1.0], 3), NOT_FINITE),
            (reply(["<s>", "A", " b", "!"], [None, -1.0, math.nan, -1.0], 3), NOT_FINITE),
            (reply(["<s>", "A", " b", "!"], [None, -1.0, None, -1.0], 3), FIRST),
        ],
    )
    def test_that_tell_nothing(self, found, reason):
        assert log_probability(found, "A", " b") == reason

    def test_nothing_to_score(self):
        assert log_probability(reply(["<s>", "A", "!"], [None, -1.0, -1.0], 2), "A", "") == "nothing is left to score"

    @pytest.mark.parametrize("text", ["", "a", "The nurse  said:\n\n 'No.'", "naïve café 😀"])
    def test_tokens_that_make_a_text_up_end_where_they_end(self, text):
        tokens = serving.tokens_of(text)
        ends = token_ends(tokens, text)
        assert ends == [len("".join(tokens[: n + 1])) for n in range(len(tokens))]


@pytest.mark.parametrize("start", [True, False])
def test_a_served_model_finds_options_as_likely_as_the_same_model_loaded_here(start):
    """The stand-in reads a planted model token by token and names the tokens one at a time, as vLLM does."""
    import torch

    from fairbench.models.batching import Batching
    from fairbench.probes.choice_likelihood import Question, measured

    local = load(inspect_model("planted:causal-0.5"))
    tokenizer, network = local.tokenizer, local.network

    def rule(path, body, times):
        if not body.get("echo"):
            return None
        ids = [tokenizer.bos_token_id] * start + tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            log_p = network(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        values = [None] + [float(log_p[place - 1, ids[place]]) for place in range(1, len(ids))] + [-1.0]
        found = {"tokens": [tokenizer.decode([i]) for i in ids] + ["."], "token_logprobs": values}
        choice = {"text": body["prompt"] + ".", "finish_reason": "length", "logprobs": found}
        return Answer({"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}})

    questions = [
        Question("The nurse said that", ("she was tired.", "he was tired.")),
        Question("Who was the nurse? The", ("man", "woman", "driver")),
        Question("", ("The nurse said that she was ill.", "The nurse said that he was ill.")),
    ]
    with StandIn(rule) as server:
        found = measured(connect(server), questions, "whole", Batching())
    wanted = measured(local, questions, "whole", Batching())
    if start:
        for one, other in zip(found, wanted, strict=True):
            assert [(o.total, o.tokens) for o in one] == [(pytest.approx(o.total, abs=1e-4), o.tokens) for o in other]
    else:
        # Without a start token the numbers are others than here, and a whole text has none.
        assert [o.tokens for o in found[0]] == [o.tokens for o in wanted[0]] and found[2] == FIRST

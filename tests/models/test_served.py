import dataclasses
import importlib.util
import json
import sys
import threading
import time
from pathlib import Path

import pytest

from fairbench.errors import FairbenchError
from fairbench.files import digest
from fairbench.models import endpoint
from fairbench.models.decoding import Decoding, Wish, Written
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelCard, ModelOptions, Serving
from fairbench.models.secret import KEYS
from fairbench.models.served import ServedModel
from fairbench.models.wire import seed_of, text_request

SPEC = importlib.util.spec_from_file_location("serving", Path(__file__).with_name("serving.py"))
serving = importlib.util.module_from_spec(SPEC)
sys.modules["serving"] = serving  # its dataclasses look their module up
SPEC.loader.exec_module(serving)
Answer, StandIn, MODEL = serving.Answer, serving.StandIn, serving.MODEL

GREEDY = Decoding(sample=False, max_new_tokens=30)
DRAWN = Decoding(max_new_tokens=30, temperature=0.7, top_p=0.9, seed=5)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def options(server, chat=False, **how):
    return ModelOptions(url=server.url, apply_chat_template=chat, serving=Serving(**{"retries": 2, "timeout": 5, **how}))


def connect(server, chat=False, **how):
    return load(inspect_model(MODEL, options(server, chat, **how)))


def wishes(n, prompt="Tell {}"):
    return [Wish(prompt.format(i), f"r{i} 0") for i in range(n)]


def a_choice(**parts):
    """A rule that changes the choice of every reply to a text."""

    def rule(path, body, times):
        if path == "/v1/models" or body.get("echo"):
            return None
        reply = serving.chat(body) if "messages" in body else serving.completion(body)
        reply["choices"][0] |= parts
        return Answer(reply)

    return rule


def body_of(server, prompt):
    return next(body for path, body, _ in server.asked if path != "/v1/models" and serving.prompt_of(body) == prompt)


class TestGenerate:
    @pytest.mark.parametrize("chat", [False, True])
    @pytest.mark.parametrize("decoding", [GREEDY, DRAWN], ids=["greedy", "drawn"])
    def test_texts_come_in_the_order_of_the_wishes(self, chat, decoding):
        with StandIn(lambda path, body, times: time.sleep(0.002 * (len(str(body)) % 7))) as server:
            model = connect(server, chat)
            asked = wishes(40)
            found = model.generate(asked, decoding)
        expected = [serving.text_of(text_request(MODEL, wish, decoding, chat)) for wish in asked]
        assert [one.text for one in found] == expected and len(set(expected)) == 40
        assert all(one == Written(one.text, len(serving.tokens_of(one.text)), "end") for one in found)

    def test_a_few_are_under_way_at_once_and_no_more(self):
        with StandIn(lambda path, body, times: time.sleep(0.15)) as server:
            connect(server, concurrency=3).generate(wishes(12), GREEDY)
        assert server.most_under_way == 3

    def test_one_at_a_time(self):
        with StandIn(lambda path, body, times: time.sleep(0.01)) as server:
            connect(server, concurrency=1).generate(wishes(6), GREEDY)
        assert server.most_under_way == 1

    def test_what_is_sent(self):
        decoding = Decoding(max_new_tokens=7, temperature=0.5, top_p=0.8, stop=("\n", "END"), seed=3)
        with StandIn() as server:
            connect(server).generate([Wish("Say", "a 1")], decoding)
            connect(server, chat=True).generate([Wish("Reply", "a 1")], dataclasses.replace(decoding, sample=False, stop=()))
        assert body_of(server, "Say") == {
            "model": MODEL, "prompt": "Say", "max_tokens": 7, "temperature": 0.5, "top_p": 0.8, "stop": ["\n", "END"],
            "seed": seed_of(decoding, "a 1"),
        }  # fmt: skip
        message = {"role": "user", "content": "Reply"}
        assert body_of(server, "Reply") == {"model": MODEL, "messages": [message], "max_tokens": 7, "temperature": 0}

    def test_seeds_follow_from_the_seed_and_the_key_alone(self):
        seeds = {seed_of(Decoding(seed=s), f"r{i} {k}") for s in range(3) for i in range(50) for k in range(25)}
        assert len(seeds) > 3740 and all(0 <= seed < 2**31 for seed in seeds)
        assert seed_of(Decoding(seed=1), "x") == seed_of(Decoding(seed=1, temperature=2.0, max_new_tokens=3), "x")

    def test_equal_requests_are_sent_once(self):
        with StandIn() as server:
            found = connect(server).generate([Wish("Same", f"r {k}") for k in range(8)], GREEDY)
            assert server.prompts() == {"Same": 1} and len(set(found)) == 1
            found = connect(server).generate([Wish("Same", f"r {k}") for k in range(8)], DRAWN)
            assert server.prompts() == {"Same": 9} and len(set(found)) == 8

    def test_no_wishes_no_requests(self):
        with StandIn() as server:
            model = connect(server)
            before = len(server.asked)
            assert model.generate([], DRAWN) == [] and len(server.asked) == before

    def test_top_k_is_refused(self):
        with StandIn() as server, pytest.raises(FairbenchError, match="top_k 5 was asked for"):
            connect(server).generate(wishes(1), Decoding(top_k=5))

    def test_a_server_that_does_not_draw_is_refused_and_asked_anew_the_next_time(self, tmp_path):
        stuck = [True]

        def rule(path, body, times):
            if body.get("seed") is not None and stuck[0]:
                return Answer(serving.completion({**body, "seed": 0}))
            return None

        with StandIn(rule) as server:
            model = connect(server)
            model.remember(tmp_path / "replies.jsonl")
            with pytest.raises(FairbenchError, match="this server does not draw"):
                model.generate(wishes(2), DRAWN)
            assert not server.prompts()
            assert len(model.generate(wishes(2), GREEDY)) == 2
            stuck[0] = False
            again = connect(server)
            again.remember(tmp_path / "replies.jsonl")
            assert len(again.generate(wishes(2), DRAWN)) == 2

    def test_the_trial_is_asked_once(self, tmp_path):
        with StandIn() as server:
            for _ in range(2):
                model = connect(server)
                model.remember(tmp_path / "replies.jsonl")
                model.generate(wishes(3), DRAWN)
                model.generate(wishes(6), DRAWN)
            trials = [body for path, body, _ in server.asked if body.get("prompt") == "Make up a short story." and "seed" in body]
        assert len(trials) == 5  # one as it is to be asked, four that are drawn; none in the second run

    def test_a_text_that_is_the_trial_is_asked_like_any_other(self):
        with StandIn() as server:
            found = connect(server).generate([Wish("Make up a short story.", "trial")], GREEDY)
        assert found[0].text == serving.text_of({"prompt": "Make up a short story."})

    def test_stop_strings_make_drawn_trials_no_more_alike(self):
        """Four trials that all end before " to you" would look as if nothing were drawn."""

        def rule(path, body, times):
            if path == "/v1/models" or "seed" not in body:
                return None
            reply = serving.completion(body)
            reply["choices"][0]["text"] = "same" + ("" if body.get("stop") else reply["choices"][0]["text"])
            return Answer(reply)

        with StandIn(rule) as server:
            found = connect(server).generate(wishes(2), dataclasses.replace(DRAWN, stop=(" wrote",)))
        assert [one.text for one in found] == ["same", "same"]

    def test_options_that_the_server_takes_of_no_text_are_an_error(self, tmp_path):
        def rule(path, body, times):
            hot = body.get("temperature") == 5.0
            return Answer({"error": {"message": "temperature must be at most 2"}}, 400) if hot else None

        with StandIn(rule) as server, pytest.raises(FairbenchError, match="temperature must be at most 2") as found:
            connect(server).generate(wishes(3), Decoding(temperature=5.0))
        assert "temperature 5.0" in str(found.value) and not server.prompts()

    def test_what_the_server_calls_itself(self):
        def rule(path, body, times):
            if path == "/v1/models" or body.get("echo"):
                return None
            return Answer({**serving.completion(body), "model": "x-2026", "system_fingerprint": f"f{len(body['prompt']) % 2}"})

        with StandIn(rule) as server:
            model = connect(server)
            model.generate([Wish("a", "1"), Wish("ab", "2")], GREEDY)
        assert model.about() == {"models": ["x-2026"], "fingerprints": ["f0", "f1"]}


class TestEnds:
    @pytest.mark.parametrize(
        ("said", "finish"),
        [("stop", "end"), ("length", "length"), ("eos_token", "end"), ("stop_sequence", "stop"), (None, "end")],
    )
    def test_why_a_text_ends(self, said, finish):
        with StandIn(a_choice(finish_reason=said)) as server:
            assert connect(server).generate(wishes(1), GREEDY)[0].finish == finish

    def test_without_a_word_a_full_text_was_cut_by_its_length(self):
        def rule(path, body, times):
            found = a_choice(finish_reason=None)(path, body, times)
            if found is not None:
                found.content["usage"] = {"completion_tokens": 30}
            return found

        with StandIn(rule) as server:
            assert connect(server).generate(wishes(1), GREEDY)[0].finish == "length"

    def test_a_server_that_says_that_a_stop_string_was_met(self):
        with StandIn(a_choice(stop_reason="\n\n")) as server:
            assert connect(server).generate(wishes(1), GREEDY)[0].finish == "stop"
        with StandIn(a_choice(stop_reason=128001)) as server:  # a token of the model's own, as vLLM says it
            assert connect(server).generate(wishes(1), GREEDY)[0].finish == "end"

    @pytest.mark.parametrize("said", ["content_filter", "tool_calls"])
    def test_a_text_that_was_withheld_is_left_out(self, said):
        with StandIn(a_choice(finish_reason=said)) as server:
            found = connect(server, retries=0).generate(wishes(1), GREEDY)
        assert found == [
            "the server's content filter withheld the text"
            if said == "content_filter"
            else "the server ended the text for a reason of its own (tool_calls)"
        ]

    @pytest.mark.parametrize(
        ("message", "text"),
        [
            ({"content": None}, ""),
            ({"content": ""}, ""),
            ({}, ""),
            ({"content": None, "refusal": "I won't."}, "I won't."),
            ({"content": [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]}, "in parts"),
        ],
    )
    def test_the_content_of_a_message(self, message, text):
        with StandIn(a_choice(message=message)) as server:
            assert connect(server, chat=True).generate(wishes(1), GREEDY)[0].text == text

    def test_half_a_surrogate_pair_is_replaced(self):
        with StandIn(a_choice(text="a\ud83db")) as server:
            assert connect(server).generate(wishes(1), GREEDY)[0].text == "a\ufffdb"

    def test_no_word_on_tokens(self):
        def rule(path, body, times):
            found = a_choice()(path, body, times)
            if found is not None:
                del found.content["usage"]
            return found

        with StandIn(rule) as server:
            assert connect(server).generate(wishes(1), GREEDY)[0].tokens is None

    def test_stop_strings_end_a_text_here_too(self):
        decoding = dataclasses.replace(GREEDY, stop=("zzz", "\n", "b", "c", "d", " two"))
        with StandIn(a_choice(text=" one two\nthree", finish_reason="length")) as server:
            found = connect(server).generate(wishes(1), decoding)
        assert found[0].text == " one" and found[0].finish == "stop"
        assert body_of(server, "Tell 0")["stop"] == ["zzz", "\n", "b", "c"]  # the API takes four

    def test_a_first_sentence_ends_a_text_here(self):
        with StandIn() as server:
            found = connect(server).generate(wishes(1), dataclasses.replace(GREEDY, sentence=True))
        assert found[0].text.startswith(" wrote ") and found[0].text.endswith(" to you.") and found[0].finish == "stop"


class TestIdentity:
    LOCAL = ModelCard(
        name="x", folder="/f", kind="causal", architecture="GPT2LMHeadModel", weights_sha256="w", tokenizer_sha256="t",
        config_sha256="c",
    )  # fmt: skip

    def test_a_local_model_is_named_as_ever(self):
        assert json.dumps(self.LOCAL.identity) == (
            '{"weights": "w", "tokenizer": "t", "config": "c", "kind": "causal", "dtype": "float32"}'
        )
        assert digest(self.LOCAL.identity) == "c98a8f89c395991b9f371bbb03a8f0d12d39552cd466a85b12983eb7adc6ad37"

    def test_how_a_server_is_spoken_to_is_in_no_local_result(self):
        assert "serving" not in self.LOCAL.as_dict()["options"] and self.LOCAL.as_dict()["options"]["url"] is None

    def test_a_served_model_is_named_by_its_server(self):
        with StandIn() as server:
            card = inspect_model(MODEL, options(server))
            same = inspect_model(MODEL, options(server, retries=1, timeout=3, concurrency=9))
        assert card.identity == same.identity
        assert card.identity | {"server": ""} == {"served": server.url, "model": MODEL, "server": ""}
        assert card.identity != dataclasses.replace(card, name="other").identity

    def test_what_the_server_says_of_the_model_is_a_part_of_it(self):
        def identity(**entry):
            listing = {"data": [{"id": MODEL, **entry}]}
            with StandIn(lambda path, body, times: Answer(listing) if path == "/v1/models" else None) as server:
                return inspect_model(MODEL, options(server)).identity["server"]

        assert identity(owned_by="us") == identity(owned_by="us", created=5)
        assert len({identity(owned_by="us"), identity(owned_by="them"), identity(owned_by="us", root="/m")}) == 3

    def test_the_card_for_a_result(self):
        with StandIn() as server:
            card = inspect_model(MODEL, options(server, chat=True)).as_dict()
        assert json.loads(json.dumps(card)) == card and card["kind"] == "served"
        assert card["options"]["url"] == server.url and card["options"]["dtype"] == "unknown"
        assert "which weights answer is not known" in card["notes"][0]


class TestServedModel:
    def test_has_nothing_of_a_network(self):
        with StandIn() as server:
            model = connect(server)
        assert isinstance(model, ServedModel) and model.network is None and model.tokenizer is None

    def test_an_interrupt_waits_for_nothing(self, monkeypatch):
        """Ctrl-C comes as KeyboardInterrupt where the main thread waits."""
        from fairbench.models import inflight

        class Interrupted:
            def put(self, item):
                pass

            def get(self):
                raise KeyboardInterrupt

        monkeypatch.setattr(inflight, "SimpleQueue", Interrupted)
        begun, stops = threading.Event(), []

        def work(item, stop):
            stops.append(stop)
            begun.set()
            stop.wait(30)

        start = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            inflight.each(range(5), work, 2)
        assert time.perf_counter() - start < 5 and begun.wait(5) and stops[0].wait(5)

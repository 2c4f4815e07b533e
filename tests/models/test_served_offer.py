"""What is found out of a server before anything is asked, and what is refused then."""

import dataclasses
import importlib.util
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairbench.errors import FairbenchError
from fairbench.models import endpoint
from fairbench.models.endpoint import normalise
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions, Serving
from fairbench.models.secret import KEYS
from fairbench.probes import classification, embedding, fill, likelihood, sensitivity

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


def inspect(server, name=MODEL, chat=False, **how):
    return inspect_model(name, ModelOptions(url=server.url, apply_chat_template=chat, serving=Serving(timeout=5), **how))


def refusal(server, *given, **how):
    with pytest.raises(FairbenchError) as found:
        inspect(server, *given, **how)
    assert "\n" not in str(found.value)
    return str(found.value)


def at(place, answer):
    return lambda path, body, times: answer if path == f"/v1/{place}" else None


class TestAddress:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
            (" http://127.0.0.1:8000/v1/ ", "http://127.0.0.1:8000/v1"),
            ("http://HOST/v1/completions", "http://host/v1"),
            ("https://host:443/v1/chat/completions/", "https://host/v1"),
            ("https://host/v1/models", "https://host/v1"),
            ("https://host/api/v1", "https://host/api/v1"),
            ("http://host:80/openai", "http://host/openai"),
            ("http://[::1]:8000", "http://[::1]:8000/v1"),
        ],
    )
    def test_has_one_spelling(self, given, kept):
        assert normalise(given) == kept and normalise(kept) == kept

    @pytest.mark.parametrize(
        "given", ["", "host", "localhost:8000", "ftp://host", "http://", "http://host:port", "http://h:99999"]
    )
    def test_that_is_none(self, given):
        with pytest.raises(FairbenchError, match="--model-url"):
            normalise(given)

    def test_without_a_scheme_gets_one_proposed(self):
        with pytest.raises(FairbenchError, match=r"Did you mean http://host\.example/v1\?"):
            normalise("host.example/v1")

    @pytest.mark.parametrize(
        "given",
        [
            "http://me:hush@host/v1",
            "https://hush@host",
            "me:hush@host",
            "https://host/v1?api-key=hush",
            "https://host/v1#hush",
            "http://me:hush@host:port/v1",
            "http://[hush/v1",
        ],
    )
    def test_that_holds_a_secret_is_refused_and_not_shown(self, given):
        with pytest.raises(FairbenchError) as found:
            normalise(given)
        assert "hush" not in str(found.value)


class TestNobodyThere:
    def test_refused_connection_is_said_at_once(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        start = time.perf_counter()
        with pytest.raises(FairbenchError, match=r"No server answers at http://127.0.0.1:\d+/v1: .*refused") as found:
            inspect_model(MODEL, ModelOptions(url=f"http://127.0.0.1:{port}"))
        assert time.perf_counter() - start < 5 and "Start it, or correct the address" in str(found.value)

    def test_a_name_that_no_host_has(self):
        with pytest.raises(FairbenchError, match="No server answers"):
            inspect_model(MODEL, ModelOptions(url="http://host.invalid", serving=Serving(timeout=5)))

    def test_a_web_page_in_the_place_of_a_server(self):
        with StandIn(lambda path, body, times: Answer(b"<html>hello</html>", headers={"Content-Type": "text/html"})) as server:
            assert "Is this the address of an OpenAI-compatible server" in refusal(server)

    def test_a_server_that_is_overloaded(self):
        with StandIn(at("models", Answer({"error": "busy"}, 503))) as server:
            assert "answered HTTP 503 (busy), 3 times in a row" in refusal(server)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_server_that_wants_a_key(self, status):
        with StandIn(at("models", Answer({"error": "who are you"}, status))) as server:
            assert "no key was sent: put one into FAIRBENCH_API_KEY" in refusal(server)
            assert len(server.asked) == 1


class TestModel:
    def test_is_looked_up(self):
        with StandIn() as server:
            card = inspect(server)
            assert card.kind == "served" and card.name == MODEL and not card.prompt_log_probs
            assert len(card.notes) == 2 and len(server.asked) <= 3

    def test_that_is_not_there_is_refused_with_what_is(self):
        with StandIn() as server:
            said = refusal(server, "stand-on")
        assert "does not offer the model 'stand-on'. Did you mean stand-in? It offers: stand-in." in said

    def test_a_long_list_is_cut(self):
        many = {"data": [{"id": f"m{i}"} for i in range(50)]}
        with StandIn(at("models", Answer(many))) as server:
            assert "m19 and 30 more." in refusal(server, "other")

    def test_a_server_that_answers_to_any_name_proves_nothing(self):
        def rule(path, body, times):
            if path == "/v1/models":
                return Answer({"data": [{"id": "the-only-one"}]})
            return Answer(serving.completion({**body, "echo": False}))

        with StandIn(rule) as server:
            assert "It offers: the-only-one" in refusal(server, "the-onliest")

    @pytest.mark.parametrize("listing", [Answer({"data": []}), Answer(b"Internal Server Error", 500)], ids=["empty", "broken"])
    def test_a_model_that_is_not_listed_but_answers(self, listing):
        """`transformers serve` with a folder; where it finds no cache of the Hub its list breaks."""
        with StandIn(at("models", listing)) as server:
            card = inspect(server)
            assert card.notes[-1] == "The server does not list this model, but answers to its name."
            assert "It lists none." in refusal(server, "other")

    @pytest.mark.parametrize("status", [404, 405])
    def test_a_server_without_a_list(self, status):
        with StandIn(at("models", Answer({"detail": "Not Found"}, status))) as server:
            assert inspect(server).notes[-1] == "The server does not list this model, but answers to its name."

    def test_a_window_that_is_said(self):
        with StandIn(at("models", Answer({"data": [{"id": MODEL, "max_model_len": 4096}]}))) as server:
            assert inspect(server).max_length == 4096

    def test_loads_without_a_folder_and_without_torch(self):
        code = (
            "import sys\nfrom fairbench.models.loading import inspect_model, load\n"
            "from fairbench.models.model import ModelOptions\n"
            f"load(inspect_model({MODEL!r}, ModelOptions(url=sys.argv[1])))\nassert 'torch' not in sys.modules"
        )
        with StandIn() as server:
            subprocess.run([sys.executable, "-c", code, server.url], check=True, timeout=60)


class TestEndpoints:
    def test_no_plain_completions(self):
        gone = Answer({"error": {"message": "This is a chat model"}}, 404)
        with StandIn(at("completions", gone)) as server:
            said = refusal(server)
            assert "can't be asked to continue a text: the server answered HTTP 404 (This is a chat model)" in said
            assert "--apply-chat-template" in said
            assert inspect(server, chat=True).options.apply_chat_template

    def test_no_chat_template(self):
        with StandIn(at("chat/completions", Answer(b"Internal Server Error", 500))) as server:
            said = refusal(server, chat=True)
            assert "Does the model have a chat template?" in said and "HTTP 500" in said
            assert inspect(server).kind == "served"

    def test_a_server_that_refuses_echo_still_writes(self):
        """OpenAI and llama.cpp refuse it, others pass over it."""

        def rule(path, body, times):
            return Answer({"error": {"message": "echo is not supported"}}, 400) if body.get("echo") else None

        with StandIn(rule) as server:
            assert not inspect(server).prompt_log_probs

    def test_a_server_that_gives_log_probabilities_of_what_it_writes_alone(self):
        """llama.cpp, before it refused echo: the only entry is the token that is written."""

        def rule(path, body, times):
            if not body.get("echo"):
                return None
            reply = serving.completion(body)
            found = reply["choices"][0]["logprobs"]
            reply["choices"][0]["logprobs"] = {"tokens": found["tokens"][-1:], "token_logprobs": found["token_logprobs"][-1:]}
            return Answer(reply)

        with StandIn(rule) as server:
            assert not inspect(server).prompt_log_probs

    def test_a_server_like_vllm(self):
        with StandIn(lambda path, body, times: Answer(serving.completion(body)) if body.get("echo") else None) as server:
            assert inspect(server).prompt_log_probs
            assert not inspect(server, chat=True).prompt_log_probs


class TestOptions:
    @pytest.mark.parametrize(
        "given",
        [
            {"revision": "main"},
            {"dtype": "bfloat16"},
            {"device": "cpu"},
            {"attention": "eager"},
            {"trust_remote_code": True},
            {"allow_pickle": True},
        ],
    )
    def test_of_a_model_that_is_loaded_here_are_refused(self, given):
        with StandIn() as server:
            assert f"The option {next(iter(given))}" in refusal(server, **given)
            assert not server.asked

    @pytest.mark.parametrize("given", [{"retries": -1}, {"concurrency": 0}, {"timeout": 0}, {"timeout": float("nan")}])
    def test_that_cannot_be(self, given):
        with pytest.raises(FairbenchError, match=f"The option {next(iter(given))} of a server"):
            inspect_model(MODEL, ModelOptions(url="http://127.0.0.1:1", serving=Serving(**given)))

    def test_a_missing_library_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "openai", None)
        with pytest.raises(FairbenchError, match=r"pip install 'fairbench\[served\]'"):
            inspect_model(MODEL, ModelOptions(url="http://127.0.0.1:1"))


class TestProbes:
    @pytest.fixture
    def card(self):
        with StandIn() as server:
            return inspect(server)

    @pytest.mark.parametrize(
        ("probe", "form", "needs"),
        [
            (likelihood, "Pair", "the likelihood of a text"),
            (likelihood, "Passage", "the likelihood of a text"),
            (embedding, "Association", "the vectors of its layers"),
            (fill, "Slot", "the probabilities of words at a place"),
            (classification, "Labelled", "weights that can be fine-tuned or decide"),
            (sensitivity, "Labelled", "gradients"),
        ],
    )
    def test_that_need_more_than_replies_are_refused(self, card, probe, form, needs):
        with pytest.raises(FairbenchError, match=f"is behind a server .*, which gives replies but not {needs}"):
            probe.resolve(card, form, {})

    def test_a_loaded_model_is_asked_as_ever(self, card):
        causal = dataclasses.replace(card, kind="causal", options=ModelOptions(), start_rule="bos")
        assert likelihood.resolve(causal, "Pair", {})["scorer"] == "sum"

    def test_no_head_can_be_put_on(self, card):
        with pytest.raises(FairbenchError, match="a head of its own"):
            load(card, "classification")

    def test_a_served_model_has_no_sanity_text(self, card):
        model = load(card)
        assert likelihood.sanity(model) is None and likelihood.engine(model) == {"replies": "of a server"}

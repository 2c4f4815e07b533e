"""The key goes into the Authorization header and nowhere else, whatever a server sends back."""

import importlib.util
import logging
import sys
import traceback
from pathlib import Path

import pytest

from fairbench.errors import FairbenchError
from fairbench.models import endpoint
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions, Serving
from fairbench.models.secret import KEYS, Secret

SPEC = importlib.util.spec_from_file_location("serving", Path(__file__).with_name("serving.py"))
serving = importlib.util.module_from_spec(SPEC)
sys.modules["serving"] = serving  # its dataclasses look their module up
SPEC.loader.exec_module(serving)
Answer, StandIn, MODEL = serving.Answer, serving.StandIn, serving.MODEL

KEY = "sk-very/secret-0123456789"
GREEDY = Decoding(sample=False, max_new_tokens=30)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("FAIRBENCH_API_KEY", KEY)


def connect(server):
    how = Serving(retries=1, timeout=5, concurrency=2)
    return load(inspect_model(MODEL, ModelOptions(url=server.url, serving=how)))


def sent(server):
    return {headers.get("authorization") for _, _, headers in server.asked}


class TestSending:
    def test_without_a_key_nothing_is_sent(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "  ")
        with StandIn() as server:
            connect(server).generate([Wish("Tell", "1")], GREEDY)
            assert sent(server) == {None}

    def test_the_key(self, key):
        with StandIn() as server:
            connect(server).generate([Wish("Tell", "1")], GREEDY)
            assert sent(server) == {f"Bearer {KEY}"}

    def test_of_two_keys_ours(self, key, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "another")
        with StandIn() as server:
            connect(server)
            assert sent(server) == {f"Bearer {KEY}"}

    def test_the_usual_one(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
        with StandIn() as server:
            connect(server)
            assert sent(server) == {f"Bearer {KEY}"}

    @pytest.mark.parametrize("value", ["hush hush", "hush\nhush", "hüsh", "hush\u2026"])
    def test_what_cannot_be_a_key_is_refused_and_not_shown(self, monkeypatch, value):
        monkeypatch.setenv("OPENAI_API_KEY", value)
        with pytest.raises(FairbenchError, match="The key in OPENAI_API_KEY") as found:
            inspect_model(MODEL, ModelOptions(url="http://127.0.0.1:1"))
        assert value.split()[0] not in str(found.value)


def echoing(status=None, places=("/v1/completions",), **how):
    """A rule: what comes back holds the Authorization header, in the reply to a text or in an error."""

    def rule(path, body, times):
        if path not in places or (status is not None and not str(body.get("prompt")).startswith("Tell") and path != "/v1/models"):
            return None
        said = f"{'x' * 185}{KEY} you sent: Bearer {KEY} and {KEY}"
        if status is None:
            reply = serving.completion({**body, "echo": False})
            reply["choices"][0]["text"] = said
            reply |= {"model": KEY, "system_fingerprint": f"for {KEY}"}
            return Answer(reply)
        return Answer({"error": {"message": said, "code": KEY}, KEY: said}, status, {"X-Echo": f"Bearer {KEY}", **how})

    return rule


def texts_of(error):
    """All that anybody may print of an error: its text, and its traceback with what led to it."""
    lines = "".join(traceback.format_exception(error))
    while error is not None:
        lines += f"{error!r} {error.args}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines


class TestHiding:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500, 503])
    def test_in_errors_and_reasons(self, key, status, tmp_path, caplog, capfd):
        caplog.set_level(logging.DEBUG)
        shown = ""
        with StandIn(echoing(status)) as server:
            model = connect(server)
            model.remember(tmp_path / "r.jsonl")
            try:
                shown += repr(model.generate([Wish("Tell", "1"), Wish("Tell me", "2")], GREEDY))
            except FairbenchError as error:
                shown += texts_of(error)
            shown += repr(model) + repr(model.card.as_dict()) + repr(model.endpoint.secret)
        assert f"HTTP {status}" in shown and ("[key]" in shown or status == 401)
        assert KEY not in shown and KEY[:20] not in shown
        assert KEY not in caplog.text and caplog.records
        assert KEY not in "".join(capfd.readouterr())
        for path in tmp_path.rglob("*"):
            assert KEY.encode() not in path.read_bytes()

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
    def test_while_the_server_is_looked_at(self, key, status, caplog):
        caplog.set_level(logging.DEBUG)
        everywhere = lambda path, body, times: Answer(  # noqa: E731
            {"error": f"{KEY} Bearer {KEY}", "data": [{"id": KEY}]}, status, {"X-Echo": KEY}
        )
        with StandIn(everywhere) as server, pytest.raises(FairbenchError) as found:
            connect(server)
        assert KEY not in texts_of(found.value) and KEY not in caplog.text

    def test_in_a_list_of_models(self, key):
        with StandIn(lambda path, body, times: Answer({"data": [{"id": KEY}]}) if path == "/v1/models" else None) as server:
            with pytest.raises(FairbenchError, match=r"It offers: \[key\]") as found:
                inspect_model("other", ModelOptions(url=server.url))
            assert KEY not in texts_of(found.value)

    def test_in_a_redirect(self, key):
        answer = Answer(b"", 307, {"Location": f"http://elsewhere.example/?key={KEY}"})
        with StandIn(lambda path, body, times: answer) as server, pytest.raises(FairbenchError) as found:
            connect(server)
        assert KEY not in texts_of(found.value) and "sends requests on to" in str(found.value)

    def test_in_texts(self, key, tmp_path):
        with StandIn(echoing()) as server:
            model = connect(server)
            model.remember(tmp_path / "r.jsonl")
            found = model.generate([Wish("Tell", "1")], GREEDY)
        assert found[0].text.endswith("[key] you sent: Bearer [key] and [key]")
        assert KEY not in (tmp_path / "r.jsonl").read_text() and KEY not in str(model.about())

    def test_a_placeholder_is_a_word_like_any_other(self, monkeypatch):
        monkeypatch.setenv("FAIRBENCH_API_KEY", "EMPTY")
        secret = Secret.from_environment()
        assert secret.hide_within({"text": "The box is EMPTY."}) == {"text": "The box is EMPTY."}
        assert secret.hide_within(["I got Bearer EMPTY"]) == ["I got Bearer [key]"]
        assert secret.hide("bad key EMPTY") == "bad key [key]"

    def test_escaped_in_json(self, key):
        escaped = KEY.replace("/", "\\/")
        with StandIn(lambda path, body, times: Answer(f'{{"error": "got {escaped}"}}'.encode(), 400)) as server:
            with pytest.raises(FairbenchError) as found:
                connect(server)
            assert KEY not in str(found.value) and "secret-0123" not in str(found.value)

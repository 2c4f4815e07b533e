"""Servers that fail in every way: what is retried, what is said, and that nothing is asked twice."""

import email.utils
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fairbench.errors import FairbenchError
from fairbench.models import endpoint
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.endpoint import Endpoint, Failed
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions, Serving
from fairbench.models.secret import KEYS
from fairbench.models.served import ServerFault
from fairbench.models.wire import trimmed

SPEC = importlib.util.spec_from_file_location("serving", Path(__file__).with_name("serving.py"))
serving = importlib.util.module_from_spec(SPEC)
sys.modules["serving"] = serving  # its dataclasses look their module up
SPEC.loader.exec_module(serving)
Answer, StandIn, MODEL = serving.Answer, serving.StandIn, serving.MODEL

GREEDY = Decoding(sample=False, max_new_tokens=30)
BODY = {"model": MODEL, "prompt": "Tell me", "max_tokens": 5}
N = 24


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def waits(monkeypatch):
    """How long each pause would have been; nobody waits."""
    found = []

    class Watch(threading.Event().__class__):
        def wait(self, timeout=None):
            found.append(timeout)
            return self.is_set()

    monkeypatch.setattr(endpoint, "Event", Watch)
    return found


def serve(**how):
    return Serving(**{"retries": 2, "timeout": 5, "concurrency": 4, **how})


def connect(server, path=None, **how):
    model = load(inspect_model(MODEL, ModelOptions(url=server.url, serving=serve(**how))))
    if path is not None:
        model.remember(path)
    return model


def wishes(n=N):
    return [Wish(f"Tell {i}", f"r{i} 0") for i in range(n)]


def texts(found):
    return [one if isinstance(one, str) else one.text for one in found]


def expected(n=N):
    return [serving.text_of({"prompt": f"Tell {i}"}) for i in range(n)]


def to_texts(answer, first=0, last=10**9, which=lambda prompt: True):
    """A rule that gives the answer to requests for texts, counted from 1 by their prompt, from the first to the last time."""

    def rule(path, body, times):
        if path == "/v1/models" or body.get("echo") or not body["prompt"].startswith("Tell"):
            return None
        return answer if first <= times <= last and which(body["prompt"]) else None

    return rule


BROKEN = {
    "500": Answer({"error": {"message": "boom"}}, 500),
    "500 and when to come": Answer({"error": "busy"}, 500, {"Retry-After": "0.02"}),
    "429 and when to come": Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "0.02"}),
    "429 and when to come in ms": Answer({"error": {"message": "slow down"}}, 429, {"Retry-After-Ms": "20"}),
    "502 without a body": Answer(b"", 502),
    "503 from a proxy": Answer(b"<html><body>Service Unavailable</body></html>", 503, {"Content-Type": "text/html"}),
    "408": Answer({"error": "late"}, 408),
    "409": Answer({"error": "locked"}, 409),
    "cut JSON": Answer(b'{"choices": [{"text": " wro'),
    "cut body": Answer({"choices": [{"text": " wrote" * 50}]}, cut=20),
    "empty body": Answer(b""),
    "no JSON": Answer(b"OK", headers={"Content-Type": "text/plain"}),
    "an error in the place of a text": Answer({"error": {"message": "overloaded"}}),
    "no choice": Answer({"choices": []}),
}


class TestPassing:
    @pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
    def test_a_fault_that_passes_is_not_seen(self, answer):
        with StandIn(to_texts(answer, last=2)) as server:
            found = connect(server).generate(wishes(6), GREEDY)
            assert texts(found) == expected(6)
            assert set(server.prompts().values()) == {3}

    def test_a_stall_that_passes_is_not_seen(self):
        silent = Answer({"choices": [{"text": "x" * 50}]}, cut=20, stall=2.5)
        with StandIn(to_texts(silent, last=1)) as server:
            found = connect(server, timeout=1).generate(wishes(4), GREEDY)
            assert texts(found) == expected(4) and set(server.prompts().values()) == {2}

    @pytest.mark.parametrize("silently", [True, False])
    def test_a_used_connection_that_was_closed_costs_no_try(self, silently):
        """As uvicorn does after an error: the connection stays open until the next request comes on it, and goes then."""
        closed = set()

        def rule(path, body, times):
            if body.get("prompt") == "Tell 1" and times == 1:
                closed.add(body["prompt"])
                return Answer(drop="silently" if silently else "reset")
            return None

        with StandIn(rule) as server:
            assert texts(connect(server, retries=0, concurrency=1).generate(wishes(3), GREEDY)) == expected(3)
            assert closed and server.prompts()["Tell 1"] == 2

    def test_a_slow_server_that_keeps_sending_is_waited_for(self):
        with StandIn(lambda path, body, times: time.sleep(0.15)) as server:
            assert texts(connect(server, timeout=10, retries=0).generate(wishes(4), GREEDY)) == expected(4)


class TestLasting:
    @pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
    def test_a_fault_that_lasts_is_one_error_and_the_next_run_goes_on(self, answer, tmp_path):
        ruined = []

        def rule(path, body, times):  # from some text on the server breaks on all that it is asked, its trial too
            if str(body.get("prompt")).startswith("Tell") and int(body["prompt"].split()[1]) >= 12:
                ruined.append(body)
            return answer if ruined and path != "/v1/models" else None

        with StandIn(rule) as server:
            with pytest.raises(ServerFault) as fault:
                connect(server, tmp_path / "r.jsonl").generate(wishes(), GREEDY)
            first = dict(server.prompts())
            server.rule = lambda path, body, times: None
            server.asked.clear()
            found = connect(server, tmp_path / "r.jsonl").generate(wishes(), GREEDY)
            second = server.prompts()
        assert texts(found) == expected()
        kept = {prompt for prompt in first if prompt not in second}
        assert f"{len(kept)} of these {N} texts are kept" in str(fault.value) and len(kept) >= 8
        assert len(kept) + len(second) == N and set(second.values()) == {1}
        assert server.url in str(fault.value) and "run the same command again" in str(fault.value)
        assert "3 times in a row" in str(fault.value)

    def test_a_server_that_dies_half_way(self, tmp_path):
        def die(path, body, times):
            if body.get("prompt") == "Tell 14":
                threading.Thread(target=server.close).start()
                time.sleep(0.05)
            return None

        with StandIn(die) as server, pytest.raises(ServerFault) as fault:
            connect(server, tmp_path / "r.jsonl", concurrency=2).generate(wishes(), GREEDY)
        assert "can't be reached" in str(fault.value) and "3 times in a row" in str(fault.value)
        with StandIn(port=server.port) as reborn:
            found = connect(reborn, tmp_path / "r.jsonl").generate(wishes(), GREEDY)
            assert texts(found) == expected()
            again = set(reborn.prompts()) & set(server.prompts())
            assert len(again) <= 2, "only what was under way"
            assert len(reborn.prompts()) <= 10

    def test_a_server_that_is_gone_is_waited_for_once(self, waits):
        with StandIn() as server:
            model = connect(server, retries=4)
        for _ in range(3):
            with pytest.raises(ServerFault, match="can't be reached"):
                model.generate(wishes(1), GREEDY)
        assert len(waits) == 4
        with StandIn(port=server.port):
            assert texts(model.generate(wishes(2), GREEDY)) == expected(2)
        with pytest.raises(ServerFault, match="5 times in a row"):
            model.generate(wishes(3), Decoding(sample=False))

    def test_a_stall_that_lasts(self):
        with StandIn(to_texts(Answer({"x": 1}, cut=3, stall=1.0))) as server, pytest.raises(ServerFault) as fault:
            connect(server, timeout=0.15, retries=1).generate(wishes(2), GREEDY)
        assert "sent nothing for 0.15 seconds, 2 times in a row" in str(fault.value)
        assert "or give it more time for a text (--server-timeout)" in str(fault.value)

    def test_after_a_fault_nothing_new_is_asked_and_what_is_under_way_is_kept(self, tmp_path):
        under_way = threading.Barrier(3, timeout=30)

        def rule(path, body, times):
            if str(body.get("prompt")).startswith("Tell"):
                under_way.wait()  # all three are at the server before the first is answered
            if body.get("prompt") == "Tell 0":
                return Answer({"error": "gone"}, 404)
            if str(body.get("prompt")).startswith("Tell"):
                time.sleep(0.5)
            return None

        with StandIn(rule) as server:
            model = connect(server, tmp_path / "r.jsonl", concurrency=3)
            with pytest.raises(ServerFault, match=f"2 of these {N} texts are kept"):
                model.generate(wishes(), GREEDY)
            assert sorted(server.prompts()) == ["Tell 0", "Tell 1", "Tell 2"]

    def test_after_a_fault_nobody_goes_on_waiting(self):
        def rule(path, body, times):
            if body.get("prompt") == "Tell 0":
                return Answer({"error": "wait"}, 429, {"Retry-After": "60"})
            if body.get("prompt") == "Tell 1":
                time.sleep(0.2)
                return Answer({"error": "no"}, 403)
            return None

        start = time.perf_counter()
        with StandIn(rule) as server, pytest.raises(ServerFault, match="HTTP 403"):
            connect(server, concurrency=2).generate(wishes(2), GREEDY)
        assert time.perf_counter() - start < 20

    @pytest.mark.parametrize(
        ("status", "said"),
        [(401, "no key was sent: put one into FAIRBENCH_API_KEY"), (403, "no key was sent"), (404, "still offers 'stand-in'")],
    )
    def test_what_no_repetition_mends_is_said_at_once(self, status, said):
        with StandIn(to_texts(Answer({"error": {"message": "no"}}, status))) as server:
            with pytest.raises(ServerFault, match=said):
                connect(server, concurrency=1).generate(wishes(3), GREEDY)
            assert server.prompts() == {"Tell 0": 1}


class TestOfOneText:
    @pytest.mark.parametrize("status", [400, 413, 422])
    def test_a_refused_text_is_left_out_with_the_reason(self, status, tmp_path):
        said = Answer({"error": {"message": "maximum context length is 4096 tokens, you gave 5012", "code": 400}}, status)
        with StandIn(to_texts(said, which=lambda prompt: prompt == "Tell 3")) as server:
            for _ in range(2):
                found = connect(server, tmp_path / "r.jsonl").generate(wishes(6), GREEDY)
                assert found[3] == f"the server answered HTTP {status} (maximum context length is # tokens, you gave #)"
                assert texts(found)[:3] == expected(3)
            assert server.prompts() == {f"Tell {i}": 1 for i in range(6)}

    @pytest.mark.parametrize(
        "content", [{"detail": "too long"}, {"detail": [{"msg": "too long"}]}, {"message": "too long"}, b"too long\n"]
    )
    def test_the_reason_in_other_words(self, content):
        with StandIn(to_texts(Answer(content, 400))) as server:
            assert "too long" in connect(server).generate(wishes(1), GREEDY)[0]

    @pytest.mark.parametrize("answer", [BROKEN["500"], BROKEN["no choice"]], ids=["500", "no choice"])
    def test_a_text_that_the_server_always_breaks_on_is_left_out_and_the_others_are_not(self, answer, tmp_path):
        with StandIn(to_texts(answer, which=lambda prompt: prompt in ("Tell 2", "Tell 5"))) as server:
            found = connect(server, tmp_path / "r.jsonl").generate(wishes(9), GREEDY)
            assert found[2] == found[5] and found[2].startswith("the server ") and isinstance(found[2], str)
            assert [t for i, t in enumerate(texts(found)) if i not in (2, 5)] == [
                t for i, t in enumerate(expected(9)) if i not in (2, 5)
            ]
            assert server.prompts()["Tell 2"] == 6  # three times, and three times more at the end
            connect(server, tmp_path / "r.jsonl").generate(wishes(9), GREEDY)
            assert server.prompts()["Tell 2"] == 6

    def test_a_text_that_the_server_broke_on_for_a_while_is_not_left_out(self):
        with StandIn(to_texts(BROKEN["500"], last=4, which=lambda prompt: prompt == "Tell 2")) as server:
            assert texts(connect(server).generate(wishes(5), GREEDY)) == expected(5)
            assert server.prompts()["Tell 2"] == 5

    def test_where_the_server_says_when_to_come_no_text_is_left_out(self):
        rule = to_texts(BROKEN["500 and when to come"], which=lambda prompt: prompt == "Tell 2")
        with StandIn(rule) as server, pytest.raises(ServerFault, match="HTTP 500"):
            connect(server).generate(wishes(5), GREEDY)


def ask(server, **how):
    return Endpoint(server.url, serve(**how)).ask("completions", BODY, trimmed)


class TestWaiting:
    def test_grows_from_try_to_try_up_to_a_limit(self, waits, monkeypatch):
        monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.5)
        with StandIn(to_texts(Answer({}, 503))) as server, pytest.raises(Failed) as failed:
            ask(server, retries=7)
        assert failed.value.tries == 8
        for pause, most in zip(waits, (0.5, 1, 2, 4, 8, 8, 8), strict=True):
            assert 0.75 * most <= pause <= most

    @pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("2.5", 2.5), ("599", 599)])
    def test_as_long_as_the_server_says(self, waits, header, seconds):
        with StandIn(to_texts(Answer({}, 429, {"Retry-After": header}), last=1)) as server:
            ask(server)
        assert waits == [seconds]

    def test_in_milliseconds(self, waits):
        with StandIn(to_texts(Answer({}, 429, {"Retry-After-Ms": "1500", "Retry-After": "9"}), last=1)) as server:
            ask(server)
        assert waits == [1.5]

    @pytest.mark.parametrize("skew", [0, -86_400, 86_400])
    def test_until_a_date_by_the_servers_own_clock(self, waits, skew):
        now = time.time() + skew
        dates = {"Date": email.utils.formatdate(now, usegmt=True), "Retry-After": email.utils.formatdate(now + 90, usegmt=True)}
        with StandIn(to_texts(Answer({}, 503, dates), last=1)) as server:
            ask(server)
        assert waits == [90]

    def test_until_a_date_by_our_clock_where_the_server_tells_no_time(self, waits):
        dates = {"Date": "now", "Retry-After": email.utils.formatdate(time.time() + 90, usegmt=True)}
        with StandIn(to_texts(Answer({}, 503, dates), last=1)) as server:
            ask(server)
        assert waits[0] == pytest.approx(90, abs=20)

    @pytest.mark.parametrize("header", ["soon", "-3", "0", "nan", "Fri, 31 Dec 1999 23:59:59 GMT", ""])
    def test_what_cannot_be_waited_for_is_as_if_nothing_were_said(self, waits, header):
        with StandIn(to_texts(Answer({}, 429, {"Retry-After": header}), last=1)) as server:
            ask(server)
        assert len(waits) == 1 and waits[0] <= endpoint.FIRST_WAIT

    @pytest.mark.parametrize(("header", "said"), [("601", "10 minutes"), ("86400", "24 hours"), ("1e400", "hours")])
    def test_a_long_wait_is_left_to_the_user(self, waits, header, said):
        answer = Answer({"error": "quota"}, 429, {"Retry-After": header})
        with StandIn(to_texts(answer)) as server, pytest.raises(Failed, match=f"asks to come back in .*{said}"):
            ask(server)
        assert not waits

    def test_not_where_the_server_says_that_it_is_no_use(self, waits):
        with StandIn(to_texts(Answer({}, 500, {"x-should-retry": "false"}))) as server, pytest.raises(Failed):
            ask(server)
        with StandIn(to_texts(Answer({"error": {"code": "insufficient_quota"}}, 429))) as server, pytest.raises(Failed):
            ask(server)
        assert not waits

    def test_also_after_a_refusal_where_the_server_says_that_it_may_pass(self, waits):
        with StandIn(to_texts(Answer({}, 404, {"x-should-retry": "true"}), last=1)) as server:
            assert ask(server)["text"]
        assert len(waits) == 1


class TestElsewhere:
    def test_redirects_are_not_followed(self):
        answer = Answer(b"", 301, {"Location": "https://elsewhere.example/v1"})
        with StandIn(to_texts(answer)) as server, pytest.raises(ServerFault, match="sends requests on to https://elsewhere"):
            connect(server).generate(wishes(1), GREEDY)

    def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(self, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        monkeypatch.delenv("NO_PROXY", raising=False)
        with StandIn() as server:
            assert texts(connect(server).generate(wishes(2), GREEDY)) == expected(2)

    def test_a_file_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with StandIn() as server, pytest.raises(FairbenchError, match=r"replies can't be kept in .*r\.jsonl"):
            connect(server, tmp_path / "file" / "r.jsonl")


CLIENT = """
import sys
from pathlib import Path
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions
model = load(inspect_model("stand-in", ModelOptions(url=sys.argv[1])))
model.remember(Path(sys.argv[2]))
for text in model.generate([Wish(f"Tell {i}", str(i)) for i in range(200)], Decoding(sample=False, max_new_tokens=30)):
    sys.stdout.write(text.text + "\\n")
"""


@pytest.mark.slow
def test_a_client_that_is_killed_asks_nothing_twice_but_what_was_under_way(tmp_path):
    def rule(path, body, times):
        time.sleep(0.04)

    def start():
        command = [sys.executable, "-c", CLIENT, server.url, str(tmp_path / "r.jsonl")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    with StandIn(rule) as server:
        for kills in (30, 90, 150):
            process = start()
            while len(server.prompts()) < kills and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            process.stdout.close()
        out, _ = start().communicate(timeout=120)
    assert out.splitlines() == expected(200)
    asked = server.prompts()
    assert len(asked) == 200 and sum(asked.values()) <= 200 + 3 * 4, "four were under way at each kill"

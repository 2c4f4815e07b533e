"""A stand-in for a server: it replies by a rule, breaks as it is told to, and remembers all that it was asked."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "stand-in"


@dataclass
class Answer:
    """What goes over the wire: content as JSON or as it is; of it `cut` bytes and no more; then silence of `stall` seconds.

    `drop`: no answer at all; the connection is closed "silently", or by a "reset".
    """

    content: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: float = 0.0
    drop: str = ""


Rule = Callable[[str, dict[str, Any], int], Answer | None]
"""From the path, the body and how often this body has come (from 1) to an answer; null for the usual one."""


def prompt_of(body: dict[str, Any]) -> str:
    """The prompt of a request to either endpoint."""
    return body["prompt"] if "prompt" in body else body["messages"][0]["content"]


def text_of(body: dict[str, Any]) -> str:
    """What the stand-in writes: it follows from the prompt and, where it is to draw, from the seed."""
    drawn = body.get("seed") if body.get("temperature") else None
    return f" wrote {hashlib.sha256(repr((prompt_of(body), drawn)).encode()).hexdigest()[:8]} to you. And more."


def value_of(tokens: list[str]) -> float:
    """The log-probability of the last of these tokens after the others."""
    return -(int(hashlib.sha256("|".join(tokens).encode()).hexdigest()[:4], 16) + 1) / 1e4


def tokens_of(text: str) -> list[str]:
    """Pieces of at most four letters, the space before a word belonging to its first."""
    found: list[str] = []
    for letter in text:
        if letter == " " or not found or len(found[-1].strip()) == 4:
            found.append(letter)
        else:
            found[-1] += letter
    return found


def completion(body: dict[str, Any], start: str | None = "<s>") -> dict[str, Any]:
    """A reply of /v1/completions in vLLM's shape; `start`: a token that it puts before every text."""
    written = text_of(body)
    prompt = ([start] if start else []) + tokens_of(prompt_of(body))
    choice: dict[str, Any] = {"index": 0, "text": written, "finish_reason": "stop", "logprobs": None}
    if body.get("echo"):
        tokens = [*prompt, "."]
        values = [None, *(value_of(tokens[: n + 1]) for n in range(1, len(tokens)))]
        choice |= {"text": prompt_of(body) + ".", "finish_reason": "length"}
        choice["logprobs"] = {"tokens": tokens, "token_logprobs": values, "text_offset": [0] * len(tokens), "top_logprobs": None}
    usage = {"prompt_tokens": len(prompt), "completion_tokens": len(tokens_of(written))}
    return {"object": "text_completion", "model": body["model"], "choices": [choice], "usage": usage}


def chat(body: dict[str, Any]) -> dict[str, Any]:
    """A reply of /v1/chat/completions."""
    usage = {"prompt_tokens": 3, "completion_tokens": len(tokens_of(text_of(body)))}
    choice = {"index": 0, "message": {"role": "assistant", "content": text_of(body)}, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}


def usual(path: str, body: dict[str, Any]) -> Answer:
    """A server that knows one model, and no log-probabilities of prompts."""
    if path == "/v1/models":
        return Answer({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "us"}]})
    if body.get("model") != MODEL:
        return Answer({"error": {"message": f"The model {body.get('model')} does not exist."}}, 404)
    if path == "/v1/chat/completions":
        return Answer(chat(body))
    if path == "/v1/completions":
        return Answer(completion({**body, "echo": False}))
    return Answer({"error": {"message": "Not found"}}, 404)


class StandIn:
    """The server, in threads of this process, on a free port of this machine.

    Attributes:
        rule: what is done otherwise than usual.
        asked: (path, body, headers by their names in lower case) of every request, in the order in which they came.
    """

    def __init__(self, rule: Rule | None = None, port: int = 0) -> None:
        self.rule: Rule = rule or (lambda path, body, times: None)
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.under_way, self.most_under_way = 0, 0
        self._turn = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def close(self) -> None:
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prompts(self) -> Counter[str]:
        """How often each prompt came, but those of a model's inspection and of a trial."""
        trials = ("Make up a short story.",)
        found = [prompt_of(body) for path, body, _ in self.asked if path != "/v1/models" and not body.get("echo")]
        return Counter(prompt for prompt in found if prompt not in trials)

    def answer(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        with self._turn:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            self.asked.append((path, body, headers))
            times = sum(one == (path, body) for one in ((p, b) for p, b, _ in self.asked))
        try:
            return self.rule(path, body, times) or usual(path, body)
        finally:
            with self._turn:
                self.under_way -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: dict[str, Any]) -> None:
            found = stand_in.answer(self.path, body, {name.lower(): value for name, value in self.headers.items()})
            if found.drop:
                if found.drop == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            content = found.content if isinstance(found.content, bytes) else json.dumps(found.content).encode()
            self.send_response_only(found.status)
            self.send_header("Date", found.headers.get("Date") or self.date_time_string())
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **found.headers}.items():
                if name == "Date":
                    continue
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: found.cut])
            self.wfile.flush()
            time.sleep(found.stall)
            if found.stall and found.cut is not None:
                self.wfile.write(content[found.cut :])

    return Handler

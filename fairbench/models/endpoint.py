"""Requests to an OpenAI-compatible server: sent again after faults that may pass, and the key never in sight.

The `openai` library speaks HTTP and keeps time. It would also retry, by rules that are kept here (408, 409, 429, 5xx, lost
connections and silence, `Retry-After`, `x-should-retry`), but not after a reply that is cut short, not where it is told to wait
more than two minutes, and its waiting can't be ended when another request has shown that all is lost. So it sends once, and the
waiting is done here.
"""

from __future__ import annotations

import email.utils
import json
import random
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from fairbench.errors import FairbenchError
from fairbench.models.model import Serving
from fairbench.models.secret import KEYS, Secret

FIRST_WAIT, LARGEST_WAIT = 0.5, 8.0
"""Seconds before the first repetition; doubled each time, up to the second number."""

LONGEST_WAIT = 600.0
"""Seconds: a server that asks for a longer pause (Retry-After) is left for the user to come back to."""

CONNECT = 10.0
"""Seconds for a connection to stand, where less than the timeout."""

PLACES = {"models": "/models", "completions": "/completions", "chat": "/chat/completions"}

_CHANCE = random.Random()
"""Of its own: who draws with the module's generator gets the same numbers whatever a server does."""

Blame = Literal["request", "handler", "lost", "silent", "server"]
Place = Literal["models", "completions", "chat"]
Read = TypeVar("Read")


class Failed(Exception):
    """A request without a usable reply.

    Attributes:
        what: one clause without the key, such as "answered HTTP 429 (slow down)".
        blame: "request": the server refuses this very request; "handler": it broke on it, and may be well otherwise; "lost":
            nobody is there; "silent": nothing came in time; "server": all else.
        tries: how often it was sent.
        status: of the last reply, if there was one.
    """

    def __init__(self, what: str, blame: Blame, *, tries: int = 1, status: int | None = None) -> None:
        super().__init__(what)
        self.what, self.blame, self.tries, self.status = what, blame, tries, status

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Fault:
    """What is wrong with one try, whether another one may help, and after how many seconds where the server says so.

    `stale`: the connection was closed before a reply began. Servers close one that has been used, without a word and often after
    an error; who sends on it next has done nothing wrong, and may send again at once.
    """

    failed: Failed
    again: bool
    wait: float | None = None
    stale: bool = False


def normalise(url: str) -> str:
    """A server's address in one spelling, up to the part that all requests share.

    Example:
        >>> normalise("HTTP://LocalHost:8000/")
        'http://localhost:8000/v1'
        >>> normalise("https://example.org:443/api/v1/chat/completions")
        'https://example.org/api/v1'

    Raises:
        FairbenchError: it is no address, or holds what may be secret.
    """
    wanted = "Wanted a server's address such as http://127.0.0.1:8000/v1."
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise FairbenchError(f"--model-url is no address. {wanted}") from None
    if "@" in parts.netloc or "@" in parts.path or parts.query or parts.fragment:
        raise FairbenchError(
            "--model-url holds a user name, a password or something after ? or #. All of the address stands in the results: put "
            f"a key into the environment variable {KEYS[0]} instead. {wanted}"
        )
    if parts.scheme not in ("http", "https") or not host:
        near = f" Did you mean http://{url.strip()}?" if "://" not in url else ""
        raise FairbenchError(f"--model-url {url}: this is no address of a server.{near} {wanted}")
    path = parts.path.rstrip("/")
    for place in (PLACES["chat"], PLACES["completions"], PLACES["models"]):
        path = path.removesuffix(place)
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}{f':{port}' if port not in (None, usual) else ''}{path or '/v1'}"


class Endpoint:
    """One server, spoken to with one key.

    Attributes:
        gone: nobody was there, however long it was waited for; the next request is not patient again.
    """

    def __init__(self, url: str, serving: Serving) -> None:
        """`url`: from `normalise`. Nothing is sent yet."""
        self.url, self.serving = url, serving
        self.secret = Secret.from_environment()
        self.secret.keep_out_of_logs()
        self._client = _client(url, serving, self.secret)
        weakref.finalize(self, self._client.close)
        self.gone = False

    def ask(
        self,
        place: Place,
        body: Mapping[str, Any],
        read: Callable[[Any], Read],
        *,
        retries: int | None = None,
        patient: bool = True,
        stop: Event | None = None,
    ) -> Read:
        """Sends a request until there is a reply that can be read.

        Args:
            place: what is asked.
            body: the request; for models nothing.
            read: takes what is needed from the reply; a ValueError of it means that the reply is malformed.
            retries: in the place of `serving.retries`.
            patient: wait also for a server that is not there.
            stop: set when the waiting is to end.

        Raises:
            Failed: there is none.
        """
        most = self.serving.retries if retries is None else retries
        stop = stop or Event()
        for tries in range(1, most + 2):
            found = self._once(place, body, read)
            if isinstance(found, Fault) and found.stale and tries == 1:
                found = self._once(place, body, read)
            lost = isinstance(found, Fault) and found.failed.blame == "lost"
            hasty = lost and (self.gone or not patient)
            self.gone = lost and (self.gone or tries > most)
            if not isinstance(found, Fault):
                return found
            failed, failed.tries = found.failed, tries
            if not found.again or tries > most or hasty:
                raise failed
            if found.wait is not None and found.wait > LONGEST_WAIT:
                failed.what += f" and asks to come back in {_duration(found.wait)}"
                raise failed
            pause = min(FIRST_WAIT * 2 ** (tries - 1), LARGEST_WAIT) * _CHANCE.uniform(0.75, 1)
            if stop.wait(found.wait or pause):
                raise failed
        raise AssertionError("unreachable")

    def _once(self, place: Place, body: Mapping[str, Any], read: Callable[[Any], Read]) -> Read | Fault:
        import openai

        try:
            raw = self._send(place, body)
        except openai.APIStatusError as error:
            return self._status(error.response)
        except openai.APITimeoutError as error:
            if type(error.__cause__).__name__ == "ConnectTimeout":
                return Fault(Failed("can't be reached (no connection came about)", "lost"), again=True)
            silent = f"sent nothing for {self.serving.timeout:g} seconds"
            return Fault(Failed(silent, "silent"), again=True)
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            lost = type(cause).__name__ == "ConnectError"
            why = self.secret.hide(str(cause).strip().split("\n")[0]) or type(cause).__name__
            clause = f"can't be reached ({why})" if lost else f"broke the connection off ({why})"
            stale = type(cause).__name__ in ("ReadError", "WriteError") or "without sending a response" in why
            return Fault(Failed(clause, "lost" if lost else "server"), again=True, stale=stale)
        try:
            content = self.secret.hide_within(json.loads(raw.http_response.content))
        except ValueError:
            cut = f"sent a reply that is no whole JSON ({len(raw.http_response.content)} bytes)"
            return Fault(Failed(cut, "server"), again=True)
        try:
            return read(content)
        except ValueError as error:
            return Fault(Failed(f"sent a reply that {error}", "handler"), again=True)

    def _send(self, place: Place, body: Mapping[str, Any]) -> Any:
        import openai

        headers = {} if self.secret else {"Authorization": openai.Omit()}
        if place == "models":
            return self._client.models.with_raw_response.list(extra_headers=headers)
        asked = self._client.chat.completions if place == "chat" else self._client.completions
        return asked.with_raw_response.create(**body, extra_headers=headers)

    def _status(self, response: Any) -> Fault:
        """A reply that says no, and what it says about coming again."""
        status, said = response.status_code, _shortened(self.secret.hide(_message(response)))
        if status == 401:
            said = ""  # this one is about the key, and may show parts of it
        what = f"answered HTTP {status}" + (f" ({said})" if said else "")
        if 300 <= status < 400:
            to = self.secret.hide(str(response.headers.get("location", "elsewhere")))
            return Fault(Failed(f"sends requests on to {to}", "server", status=status), again=False)
        if status in (400, 413, 422):
            return Fault(Failed(what, "request", status=status), again=False)
        wait = _retry_after(response.headers)
        told = response.headers.get("x-should-retry")
        passing = status in (408, 409, 425, 429) or (status >= 500 and status != 501)
        again = told == "true" or (passing and told != "false" and "insufficient_quota" not in _text(response))
        blame: Blame = "handler" if status == 500 and wait is None else "server"
        return Fault(Failed(what, blame, status=status), again, wait)


def key_advice(endpoint: Endpoint) -> str:
    """What to do where a server refuses who asks; part of a sentence."""
    if endpoint.secret:
        return f"put the right key into {KEYS[0]} (it comes before {KEYS[1]})"
    return f"no key was sent: put one into {KEYS[0]}"


def _client(url: str, serving: Serving, secret: Secret) -> Any:
    """The library's client: it sends once, follows nobody elsewhere, and sends no Authorization where there is no key."""
    try:
        import openai
    except ImportError:
        raise FairbenchError(
            "Models behind a server need the openai library, which is not installed. Install it: pip install 'fairbench[served]'."
        ) from None
    parts = urlsplit(url)
    here = parts.scheme == "http" and (parts.hostname in ("localhost", "::1") or str(parts.hostname).startswith("127."))
    return openai.OpenAI(
        base_url=url,
        api_key=secret.value or "none",
        max_retries=0,
        timeout=openai.Timeout(serving.timeout, connect=min(CONNECT, serving.timeout)),
        # A proxy of the environment can't reach this machine's own servers, and these need no certificates.
        http_client=openai.DefaultHttpxClient(follow_redirects=False, trust_env=not here, verify=not here),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait; null where it says nothing, or nothing that can be read.

    A date is taken relative to the server's own clock, where it tells that.
    """
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        return seconds if seconds > 0 else None  # NaN as well
    until = _date(headers.get("retry-after"))
    if until is None:
        return None
    seconds = (until - (_date(headers.get("date")) or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None


def _date(header: str | None) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(response: Any) -> str:
    return str(response.content.decode("utf-8", errors="replace"))


def _message(response: Any) -> str:
    """What a server says in the body of a refusal, in a line, however long."""
    text = _text(response)
    try:
        content: Any = json.loads(text)
        for name in ("error", "detail", "message"):
            content = content.get(name, content) if isinstance(content, dict) else content
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    except ValueError:
        pass
    return " ".join(text.split())


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{min(seconds, 3.6e6) / 3600:.0f} hours"

"""The key of a server, and the art of not showing it: it goes into one header, and what comes back is looked through for it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any

from fairbench.errors import FairbenchError

KEYS = ("FAIRBENCH_API_KEY", "OPENAI_API_KEY")
"""Environment variables that a key is taken from, the first one that is set."""

SHORTEST = 8
"""Anything shorter is a placeholder such as EMPTY, and a word that a text may well hold."""

LOGGERS = (
    "openai._base_client",
    *("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"),
    *("httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy"),
)
"""Of the libraries that speak HTTP. At their most talkative they write down every header that comes back."""


@dataclass(frozen=True)
class Secret:
    """A key; empty where there is none."""

    value: str = field(repr=False)

    @classmethod
    def from_environment(cls) -> Secret:
        """The key that the environment names.

        Raises:
            FairbenchError: it can't be a key; it is not shown.
        """
        name, value = next(((n, v.strip()) for n in KEYS if (v := os.environ.get(n, "")).strip()), ("", ""))
        if not all("!" <= letter <= "~" for letter in value):
            raise FairbenchError(
                f"The key in {name} holds a space, a line break or a letter that is not ASCII, which no key does. Set it again."
            )
        return cls(value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def hide(self, message: str) -> str:
        """A message without the key: a server may send back what it was sent."""
        return message.replace(self.value, "[key]") if self.value else message

    def hide_within(self, content: Any) -> Any:
        """A JSON value without the key. A placeholder is hidden only where it stands as the header has it."""
        if isinstance(content, str):
            if len(self.value) >= SHORTEST:
                return self.hide(content)
            return content.replace(f"Bearer {self.value}", "Bearer [key]") if self.value else content
        if isinstance(content, list):
            return [self.hide_within(item) for item in content]
        if isinstance(content, dict):
            return {self.hide_within(name): self.hide_within(item) for name, item in content.items()}
        return content

    def keep_out_of_logs(self) -> None:
        """Hides the key in whatever the libraries log from now on."""
        if len(self.value) >= SHORTEST:
            for name in LOGGERS:
                logging.getLogger(name).addFilter(_Hiding(self))


@dataclass(frozen=True)
class _Hiding:
    """A filter of log records. Equal ones are added once."""

    secret: Secret

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if self.secret.value in message:
            record.msg, record.args = self.secret.hide(message), ()
        return True

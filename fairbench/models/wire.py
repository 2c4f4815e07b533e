"""What is sent to an OpenAI-compatible server for a text or a log-probability, and what its reply comes to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fairbench.models.decoding import Decoding, Finish, Wish, Written
from fairbench.models.endings import cut

MOST_STOPS = 4
"""Stop strings that the API takes. All of them end a text here too, so a server that is told of a few only writes more than is
used."""

FINISHES: dict[str, Finish] = {
    "stop": "end", "eos_token": "end", "eos": "end", "stop_sequence": "stop", "length": "length", "max_tokens": "length",
}  # fmt: skip
"""Why a text ends, by the words of servers. "stop" stands for the model's own end and for a stop string alike."""

IMPOSSIBLE = -9999.0
"""What vLLM writes for a log-probability of minus infinity, which JSON lacks."""

FILTERED = "the server's content filter withheld the text"
FIRST = "the server gives no probability of a text's first token"
UNMATCHED = "the tokens that the server names can't be matched with the text"
NOT_FINITE = "a log-probability is not finite"


def seed_of(decoding: Decoding, key: str) -> int:
    """The seed of one text, in 31 bits: the widest that every server takes.

    Example:
        >>> seed_of(Decoding(seed=1), "a 0") != seed_of(Decoding(seed=1), "a 1")
        True
    """
    digest = hashlib.sha256(json.dumps([decoding.seed, key]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def text_request(model: str, wish: Wish, decoding: Decoding, chat: bool) -> dict[str, Any]:
    """Asks for a text: under a chat template as the reply to a message, else as what follows the prompt.

    All that has a place in the API is named, also where it says that nothing is to be done: a server may have other defaults.
    """
    prompt: dict[str, Any] = {"messages": [{"role": "user", "content": wish.prompt}]} if chat else {"prompt": wish.prompt}
    drawn: dict[str, Any] = {"temperature": 0}
    if decoding.sample:
        drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p, "seed": seed_of(decoding, wish.key)}
    stop = {"stop": list(decoding.stop[:MOST_STOPS])} if decoding.stop else {}
    return {"model": model, **prompt, "max_tokens": decoding.max_new_tokens, **drawn, **stop}


def echo_request(model: str, text: str) -> dict[str, Any]:
    """Asks for the log-probabilities of a text's own tokens. One token more is written, for some servers refuse to write none."""
    return {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def trimmed(content: Any) -> dict[str, Any]:
    """What is kept of a reply.

    Raises:
        ValueError: it is malformed; what is wrong with it, as the end of the sentence "The server sent a reply that ...".
    """
    if isinstance(content, dict) and content.get("error"):
        error = content["error"]
        said = error.get("message", error) if isinstance(error, dict) else error
        raise ValueError(f"holds an error in the place of a text: {' '.join(str(said).split())[:200]}")
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("holds no choice")
    choice, usage = choices[0], content.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    kept = {
        "text": _text(choice),
        "finish_reason": choice.get("finish_reason"),
        "stop_reason": choice.get("stop_reason"),
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "model": content.get("model"),
        "fingerprint": content.get("system_fingerprint"),
    }
    found = choice.get("logprobs")
    if isinstance(found, dict) and isinstance(found.get("tokens"), list) and isinstance(found.get("token_logprobs"), list):
        kept |= {"tokens": found["tokens"], "log_probs": found["token_logprobs"]}
    return {name: value for name, value in kept.items() if value is not None}


def _text(choice: Mapping[str, Any]) -> str:
    """The text of a choice; empty where the server gives none."""
    text = choice.get("text")
    if isinstance(message := choice.get("message"), dict):
        text = message.get("content")
        if isinstance(text, list):  # in parts, as some servers send it
            text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
        text = message.get("refusal") if text is None else text
    if text is not None and not isinstance(text, str):
        raise ValueError("holds something else than a text")
    # Half of a pair of surrogates is nothing that a file can hold.
    return (text or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def written(reply: Mapping[str, Any], decoding: Decoding, prompt: str = "") -> Written | str:
    """The text of a reply after a prompt, cut where the rules say so, or why there is none.

    `tokens` are as the server counts them: some count the one that ends a text.
    """
    said = reply.get("finish_reason")
    if said == "content_filter":
        return FILTERED
    if said is not None and said not in FINISHES:
        return f"the server ended the text for a reason of its own ({said})"
    tokens = reply.get("completion_tokens")
    full = isinstance(tokens, int) and tokens >= decoding.max_new_tokens
    finish: Finish = FINISHES[said] if said is not None else "length" if full else "end"
    if isinstance(reply.get("stop_reason"), str):
        finish = "stop"
    text = reply["text"]
    if (at := cut(text, decoding, prompt)) is not None:
        text, finish = text[:at], "stop"
    return Written(text, tokens if isinstance(tokens, int) else None, finish)


def log_probability(reply: Mapping[str, Any], context: str, option: str) -> tuple[float, int] | str:
    """Log-probability (nats) and number of an option's tokens after a context, or why there is none.

    A token that stands across the border is the option's, as in a model that is loaded here.
    """
    tokens, values = reply.get("tokens"), reply.get("log_probs")
    if not tokens or not values or len(tokens) != len(values):
        return "the server gives no log-probabilities of a prompt"
    count = reply.get("prompt_tokens")
    count = count if isinstance(count, int) and 0 < count <= len(tokens) else len(tokens) - 1
    tokens, values = [str(token) for token in tokens[:count]], values[:count]
    text = context + option
    if values and values[0] is None and not (tokens[0].strip() and text.lstrip().startswith(tokens[0].lstrip())):
        tokens, values = tokens[1:], values[1:]  # a start token, which is no part of the text
    ends = token_ends(tokens, text)
    if ends is None:
        return UNMATCHED
    scored = [value for end, value in zip(ends, values, strict=True) if end > len(context)]
    if not scored:
        return "nothing is left to score"
    if scored[0] is None:
        return FIRST
    if not all(isinstance(value, int | float) and math.isfinite(value) and value > IMPOSSIBLE for value in scored):
        return NOT_FINITE
    return math.fsum(scored), len(scored)


def token_ends(tokens: Sequence[str], text: str) -> list[int] | None:
    """Where each token ends in its text; null where they don't make it up.

    Servers name tokens one by one, and some tokenizers then lose the space before a word; so white space may be missing. A token
    that is nothing but such a space ends with the next one.

    Example:
        >>> token_ends(["The", " nurse", "s"], "The nurses"), token_ends(["The", "nurse", "", "7"], "The nurse 7")
        ([3, 9, 10], [3, 9, 11, 11])
    """
    place, ends, empty = 0, list[int](), 0
    for token in tokens:
        if not text.startswith(token, place):
            token = token.lstrip()
            place += len(text[place:]) - len(text[place:].lstrip()) if token else 0
            if not text.startswith(token, place):
                return None
        if not token:
            empty += 1
            continue
        place += len(token)
        ends += [place] * (empty + 1)
        empty = 0
    return ends + [len(text)] * empty if not text[place:].strip() else None

"""What a server offers: whether the model is there and which questions it can answer, found out before anything is asked."""

from __future__ import annotations

import dataclasses
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest
from fairbench.models.decoding import Decoding
from fairbench.models.endpoint import Endpoint, Failed, Place, key_advice, normalise
from fairbench.models.model import ModelCard, ModelOptions
from fairbench.models.served import TRIAL, TRIAL_PAIR
from fairbench.models.wire import echo_request, log_probability, text_request, trimmed

HASTY = 2
"""Most repetitions of a request while a server is looked at."""

SHORT = Decoding(sample=False, max_new_tokens=1)


def inspect_served(name: str, options: ModelOptions) -> ModelCard:
    """Finds out what can be asked of a model behind a server, by as few small requests as tell it.

    Args:
        name: what the server calls the model.
        options: `url`, `serving` and `apply_chat_template`; the others are for models that are loaded here.

    Returns:
        Its card, of kind "served".

    Raises:
        FairbenchError: the options can't be, nobody answers, the key is refused, the model is not there, or it can't be asked.
    """
    _refuse_options(options)
    endpoint = Endpoint(normalise(options.url or ""), options.serving)
    place: Place = "chat" if options.apply_chat_template else "completions"
    said = _listed(endpoint, name)
    unlisted = () if said else ("The server does not list this model, but answers to its name.",)
    window = said.get("max_model_len")
    return ModelCard(
        name=name,
        folder="",
        kind="served",
        architecture="unknown",
        config_sha256=digest({key: said.get(key) for key in ("owned_by", "root")}),
        max_length=window if isinstance(window, int) else None,
        options=dataclasses.replace(options, url=endpoint.url, dtype="unknown"),
        prompt_log_probs=_gives_log_probabilities(endpoint, name, place),
        notes=(
            f"The model is behind a server ({endpoint.url}): which weights answer is not known, and they may change between "
            "requests.",
            "What a request does not name (top-k, penalties on repetition) is as it is set at the server. Seeds are sent with "
            "what is drawn, but a server need not follow them.",
            *unlisted,
        ),
    )


def _refuse_options(options: ModelOptions) -> None:
    """What is set for a model that is loaded here would be dropped in silence."""
    usual, serving = ModelOptions(), options.serving
    for name in ("revision", "dtype", "device", "attention", "trust_remote_code", "allow_pickle"):
        if getattr(options, name) != getattr(usual, name):
            raise FairbenchError(
                f"The option {name} ({getattr(options, name)}) was given together with a server (--model-url), which has loaded "
                "its model already, by settings of its own. Leave one of the two out."
            )
    for name, wanted, good in (
        ("retries", "a whole number, at least 0", serving.retries >= 0),
        ("concurrency", "a whole number, at least 1", serving.concurrency >= 1),
        ("timeout", "seconds, more than 0", serving.timeout > 0),
    ):
        if not good:
            raise FairbenchError(f"The option {name} of a server is {getattr(serving, name)}; wanted {wanted}.")


def _listed(endpoint: Endpoint, name: str) -> dict[str, Any]:
    """What the server's list of models says of one; empty where it is not in the list, but answers all the same.

    Raises:
        FairbenchError: it is not there.
    """
    known: list[dict[str, Any]] | None = None
    try:
        known = endpoint.ask("models", {}, _models, retries=_retries(endpoint), patient=False)
    except Failed as failed:
        # Some servers have no list, and that of `transformers serve` breaks where it finds no cache of the Hub.
        if failed.status not in (404, 405, 500, 501):
            raise FairbenchError(_unanswered(endpoint, failed)) from None
        known = [] if failed.status == 500 else None
    for entry in known or ():
        if entry.get("id") == name:
            return entry
    # `transformers serve` does not list a model that it was given as a folder. Who answers to any name proves nothing by it.
    if _answers(endpoint, name) and (known is None or not _answers(endpoint, f"not-{name}", sure=False)):
        return {}
    names = [str(entry.get("id")) for entry in known or ()]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise FairbenchError(
        f"The server at {endpoint.url} does not offer the model {name!r}.{did_you_mean(name, names)} "
        + (f"It offers: {shown}." if names else "It lists none. Wanted the name that it was started with; see also the address.")
    )


def _models(content: Any) -> list[dict[str, Any]]:
    entries = content.get("data") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError("is no list of models")
    return [entry for entry in entries if isinstance(entry, dict)]


def _answers(endpoint: Endpoint, name: str, sure: bool = True) -> bool:
    """Whether a text comes for this name, of either sort. `sure`: a fault that says nothing of the name is an error, not a no."""
    places: tuple[Place, ...] = ("completions", "chat")
    for place in places:
        try:
            body = text_request(name, TRIAL, SHORT, place == "chat")
            endpoint.ask(place, body, trimmed, retries=_retries(endpoint) if sure else 0)
        except Failed as failed:
            if sure and failed.blame != "request" and failed.status not in (404, 405, 500, 501):
                raise FairbenchError(_unanswered(endpoint, failed)) from None
        else:
            return True
    return False


def _gives_log_probabilities(endpoint: Endpoint, name: str, place: Place) -> bool:
    """Whether the log-probabilities of a prompt come with it, as from vLLM; where they don't, whether a text comes at all.

    A server that does not know `echo` passes over it in silence, so what came is looked at.

    Raises:
        FairbenchError: no text comes.
    """
    if place == "completions":
        try:
            reply = endpoint.ask(place, echo_request(name, "".join(TRIAL_PAIR)), trimmed, retries=0)
            return not isinstance(log_probability(reply, *TRIAL_PAIR), str)
        except Failed:
            pass  # said below, if it is not for the echo alone
    try:
        endpoint.ask(place, text_request(name, TRIAL, SHORT, place == "chat"), trimmed, retries=_retries(endpoint))
    except Failed as failed:
        if failed.status in (401, 403) or failed.blame == "lost":
            raise FairbenchError(_unanswered(endpoint, failed)) from None
        if place == "chat":
            advice = "Does the model have a chat template? If it has none, leave --apply-chat-template out."
        else:
            advice = "If it only takes conversations, say --apply-chat-template."
        what = "reply to a message" if place == "chat" else "continue a text"
        raise FairbenchError(f"{name} at {endpoint.url} can't be asked to {what}: the server {failed.what}. {advice}") from None
    return False


def _retries(endpoint: Endpoint) -> int:
    return min(HASTY, endpoint.serving.retries)


def _unanswered(endpoint: Endpoint, failed: Failed) -> str:
    """One paragraph on a server that says nothing about its models."""
    if failed.status in (401, 403):
        return f"The server at {endpoint.url} {failed.what}: {key_advice(endpoint)} and run the same command again."
    if failed.blame == "lost":
        return (
            f"No server answers at {endpoint.url}: it {failed.what}. Start it, or correct the address (--model-url): wanted all "
            "of it up to /v1, such as http://127.0.0.1:8000/v1."
        )
    times = f", {failed.tries} times in a row" if failed.tries > 1 else ""
    return (
        f"The server at {endpoint.url} {failed.what}{times}. Is this the address of an OpenAI-compatible server, all of it up to "
        "/v1? Then see that the server is well."
    )

"""Models behind an OpenAI-compatible server: what can be asked of them, found out before anything is, and asked.

Of such a model only replies are seen: no weights, no vocabulary, no layers. So every score says that what answers is not known,
and what a server can't do is refused rather than approximated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.models.decoding import Decoding, Wish, Written
from fairbench.models.endpoint import Endpoint, Failed, Place, key_advice
from fairbench.models.inflight import each
from fairbench.models.model import Model, ModelCard
from fairbench.models.replies import Replies, request_key
from fairbench.models.wire import echo_request, log_probability, text_request, trimmed, written

TRIAL = Wish("Make up a short story.", "trial")
"""Any model has much to say to this. It is asked before the texts, and where the server stumbles on one of them."""

TRIAL_PAIR = ("Once there was", " a river.")

TRIAL_DRAWS, TRIAL_TOKENS = 4, 48
"""So many texts of so many tokens that are all the same show that a server does not draw."""


class ServerFault(FairbenchError):
    """A server gave out in the middle of a run. What it had replied is kept, and the same command goes on from there."""


@dataclass(frozen=True, kw_only=True)
class ServedModel(Model):
    """A model that is asked over HTTP; it has no network and no tokenizer here.

    Attributes:
        endpoint: its server.
        replies: what it has replied; on disk once `remember` was called.
        tried: keys of the trials that it has passed.
    """

    network: Any = None
    tokenizer: Any = None
    device: Any = None
    endpoint: Endpoint
    replies: Replies = field(default_factory=Replies)
    tried: set[str] = field(default_factory=set)

    def remember(self, path: Path) -> None:
        """Keeps every reply in this file as soon as it comes, and asks nothing of which the reply stands there."""
        self.replies.open(path)

    def forget(self) -> None:
        """Removes that file: its answers are safe elsewhere."""
        self.replies.forget()

    def about(self) -> dict[str, list[str]]:
        """What the server called itself in its replies: `models`, `fingerprints`. More than one of either: it was changed."""
        names = (("models", "model"), ("fingerprints", "fingerprint"))
        return {many: sorted({str(reply[one]) for reply in self.replies if one in reply}) for many, one in names}

    def generate(self, wishes: Sequence[Wish], decoding: Decoding) -> list[Written | str]:
        """Texts after prompts, in their order; in the place of one that the server refuses the reason.

        Raises:
            ServerFault: the server gave out.
            FairbenchError: it can't be asked for such texts.
        """
        refuse_decoding(self.card, decoding)
        if not wishes:
            return []
        chat = self.card.options.apply_chat_template
        asked = Requests(self, "chat" if chat else "completions", text_request(self.card.name, TRIAL, decoding, chat))
        asked.try_out(decoding.sample)
        replies = asked.replies([text_request(self.card.name, wish, decoding, chat) for wish in wishes])
        return [
            reply["left_out"] if "left_out" in reply else written(reply, decoding, wish.prompt)
            for reply, wish in zip(replies, wishes, strict=True)
        ]

    def option_log_probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int] | str]:
        """For each (context, option) the option's log-probability after the context (nats, summed) and its number of tokens.

        The two are put together as they are. In the place of one that can't be had stands the reason.

        Raises:
            ServerFault: the server gave out.
            FairbenchError: it gives no log-probabilities of a prompt.
        """
        if not self.card.prompt_log_probs:
            raise FairbenchError(
                f"The server at {self.endpoint.url} gives no log-probabilities of a prompt's tokens"
                + (" under a chat template" if self.card.options.apply_chat_template else " (echo with logprobs)")
                + ", so the likelihood of an option can't be asked. Let the model write its choice (by=letter), or give the "
                "model's weights."
            )
        asked = Requests(self, "completions", echo_request(self.card.name, "".join(TRIAL_PAIR)))
        replies = asked.replies([echo_request(self.card.name, context + option) for context, option in pairs])
        return [
            reply["left_out"] if "left_out" in reply else log_probability(reply, *pair)
            for reply, pair in zip(replies, pairs, strict=True)
        ]


@dataclass(frozen=True)
class Requests:
    """Requests of one kind.

    Attributes:
        model: that is asked.
        place: where at its server.
        trial: such a request about nothing of interest.
    """

    model: ServedModel
    place: Place
    trial: Mapping[str, Any]

    def try_out(self, sample: bool) -> None:
        """Whether the server takes such requests, and draws where it is to draw. Asked once; kept only where it was passed.

        A server that does not sample answers in silence with the likeliest text, and 25 samples are one.

        Raises:
            FairbenchError: it does not.
        """
        model = self.model
        key = request_key(model.endpoint.url, f"trial of {self.place}", self.trial)
        if model.replies.get(key) is None and key not in model.tried:
            usual = {name: value for name, value in self.trial.items() if name != "stop"}
            usual |= {"temperature": 1, "top_p": 1, "max_tokens": TRIAL_TOKENS}
            draws = [{**usual, "seed": seed} for seed in range(1, TRIAL_DRAWS + 1)] if sample else []
            try:
                model.endpoint.ask(self.place, self.trial, trimmed)
                texts = [model.endpoint.ask(self.place, body, trimmed)["text"] for body in draws]
            except Failed as failed:
                if failed.blame != "request":
                    raise ServerFault(_gave_out(model, failed, "No text is asked yet")) from None
                raise FairbenchError(
                    f"The server at {model.endpoint.url} {failed.what} where a text was asked for with these options: "
                    f"{_shown(self.trial)}. Change those that it does not take."
                ) from None
            if draws and len(set(texts)) == 1 and texts[0]:
                raise FairbenchError(
                    f"Texts are to be drawn, but {model.card.name} at {model.endpoint.url} wrote the same one {TRIAL_DRAWS} "
                    "times at temperature 1 with different seeds: this server does not draw. Make it (`transformers serve` does "
                    "so only where the model's generation_config.json says do_sample), or ask for the likeliest texts (greedy)."
                )
        model.tried.add(key)
        if model.replies.get(key) is None:
            model.replies.keep(key, {"passed": True})

    def replies(self, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A reply to each request, kept or new, or `left_out` with the reason. Equal requests are sent once.

        Raises:
            ServerFault: the server gave out.
        """
        model, most = self.model, self.model.endpoint.serving.concurrency
        keys = [request_key(model.endpoint.url, self.place, body) for body in bodies]
        new = {key: body for key, body in zip(keys, bodies, strict=True) if model.replies.get(key) is None}
        try:
            each(new.items(), self._ask, most)
            # What the server has stumbled on, once more and later: it may have been out of sorts for a while.
            again = {key: body for key, body in new.items() if model.replies.get(key) is None}
            each(again.items(), self._ask_again, most)
        except Failed as failed:
            kept = sum(model.replies.get(key) is not None for key in keys)
            raise ServerFault(_gave_out(model, failed, f"{kept} of these {len(keys)} texts are kept")) from None
        return [model.replies.get(key) or {} for key in keys]

    def _ask(self, item: tuple[str, Mapping[str, Any]], stop: Event, last: bool = False) -> None:
        """Keeps the reply to one request. One that the server breaks on, and on no other, is passed over until it is the last."""
        key, body = item
        endpoint, replies = self.model.endpoint, self.model.replies
        try:
            replies.keep(key, endpoint.ask(self.place, body, trimmed, stop=stop))
        except Failed as failed:
            if failed.blame == "handler" and not stop.is_set():
                try:
                    endpoint.ask(self.place, self.trial, trimmed, retries=0)
                except Failed:
                    raise failed from None
            elif failed.blame != "request":
                raise
            if failed.blame == "request" or last:
                replies.keep(key, {"left_out": _reason(failed)})

    def _ask_again(self, item: tuple[str, Mapping[str, Any]], stop: Event) -> None:
        self._ask(item, stop, last=True)


def connect(card: ModelCard) -> ServedModel:
    """The model of a card that `inspect_served` made. Nothing is sent."""
    return ServedModel(card=card, endpoint=Endpoint(card.options.url or "", card.options.serving))


def refuse_decoding(card: ModelCard, decoding: Decoding) -> None:
    """Ways to choose a token that the API has no word for."""
    if decoding.sample and decoding.top_k:
        raise FairbenchError(
            f"top_k {decoding.top_k} was asked for, but {card.name} is behind a server, and the API of such servers has no "
            "top_k. Leave it out, or use top_p."
        )


def drawing_rules(decoding: Decoding) -> dict[str, str]:
    """How a server draws, in words that stand in the result."""
    if not decoding.sample:
        return {}
    seeds = "a seed of 31 bits, from SHA-256 of seed and key, is sent with each text, and the server need not follow it"
    return {"order": "as the server does it", "draws": f"by the server: {seeds}"}


def refuse_served(card: ModelCard, probe: str, needs: str) -> None:
    """Questions that only a model that is loaded here can answer.

    Args:
        card: any model's card.
        probe: the name of the probe that would ask.
        needs: what of the model it reads, such as "the vectors of its layers".
    """
    if card.kind == "served":
        raise FairbenchError(
            f"{card.name} is behind a server ({card.options.url}), which gives replies but not {needs}: the {probe} probe can't "
            "ask it. Give the model's weights (a folder or a Hub id, without --model-url), or choose a metric of generated texts."
        )


def _gave_out(model: ServedModel, failed: Failed, kept: str) -> str:
    """One paragraph on a server that gave out: what it did, what is kept, what to do."""
    advice = "see that the server is well"
    if failed.blame == "silent":
        advice = "see that the server is well, or give it more time for a text (--server-timeout),"
    if failed.status in (401, 403):
        advice = key_advice(model.endpoint)
    elif failed.status == 404:
        advice = f"see that it still offers {model.card.name!r}"
    times = f", {failed.tries} times in a row" if failed.tries > 1 else ""
    return (
        f"The server at {model.endpoint.url} {failed.what}{times}. {kept}; {advice} and run the same command again: it goes on "
        "from there, and nothing that was answered is asked twice."
    )


def _reason(failed: Failed) -> str:
    """Why a text is left out. Numbers in a server's words differ from text to text, and would make as many reasons."""
    status, said, rest = failed.what.partition("(")
    return f"the server {status}{said}{re.sub(r'[0-9]+', '#', rest)}"


def _shown(body: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in body.items() if name not in ("model", "prompt", "messages"))

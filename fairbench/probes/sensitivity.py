"""How far a classifier's prediction moves with the protected parts of a text: accumulated prediction sensitivity.

The classifier is that of the classification probe. What is protected is told by a second classifier over the same word
embeddings, trained to tell the groups apart; by a list of words; by likeness to such words; or every token counts the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.batching import Batching
from fairbench.models.heads import NO_EMBEDDING, known_ids
from fairbench.models.model import Model, ModelCard
from fairbench.models.served import refuse_served
from fairbench.models.tokens import Encoded, encode
from fairbench.probes import classification, gradients
from fairbench.probes.accumulated import NO_WEIGHT, Text, measured
from fairbench.probes.protected import Direction, Words, direction, of_likeness, of_words, read_words
from fairbench.probes.status import status_model
from fairbench.records import Labelled, Record
from fairbench.training import Prepared, Room
from fairbench.training.classifier import Classifier, classifier, classifier_options, refuse_unknown
from fairbench.training.network import is_ready
from fairbench.training.outcome import learnt_nothing
from fairbench.training.padding import mixes_lengths
from fairbench.training.recipe import PARSERS, recipe_options
from fairbench.training.texts import kept

if TYPE_CHECKING:
    import torch

VERSION = 1
FORMS = ("Labelled",)

CHOICES = {
    "output": ("probabilities", "log_probabilities", "logits"),
    "level": ("token", "feature"),
    "reduction": ("l2", "l1", "gxi"),
    "classes": ("predicted", "uniform", "gold"),
    "protected": ("model", "words", "similarity", "uniform"),
}
"""Options that are one of a few words, the default first."""

OPTIONS = (*classification.OPTIONS, *CHOICES, "words", "group_by", "protected_on")


@dataclass(frozen=True, kw_only=True)
class Sensitive(Classifier):
    """A classifier together with what tells the protected tokens of a text.

    Attributes:
        status: the protected-status model, where there is one.
        words: the list of words, where there is one.
        towards: the protected direction of the word embeddings, where there is one.
    """

    status: Classifier | None = None
    words: Words | None = None
    towards: Direction | None = None


def resolve(card: ModelCard, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in the options and refuses what this model can't do.

    Args:
        card: the model's card.
        form: name of a record form.
        requested: the options of the classification probe, and

            - `output`: what is differentiated: "probabilities" (default), "log_probabilities" or "logits" of the task's classes.
            - `classes`: w: "predicted" (default) is 1 for the predicted class, "gold" for the gold one, "uniform" 1/K for each.
            - `level`: "token" (default) reduces the entries of a token's gradient to one number first; "feature" does not.
            - `reduction`: to that number: "l2" (default), "l1", or "gxi", |sum of gradient times embedding|.
            - `protected`: v: "model" (default), "words", "similarity" or "uniform".
            - `words`: for words and similarity: a list by name (gender, race ...) or a text file.
            - `group_by`: for model: the notion whose groups it tells apart; empty for all groups of the data.
            - `protected_on`: for model: what it learns from, where that is not what the classifier learns from.

    Returns:
        All that can change an answer, for the result file and the cell's hash.

    Raises:
        FairbenchError: an unknown or impossible option, or nothing to learn from.
    """
    if form not in FORMS:
        raise FairbenchError(f"The sensitivity probe answers {', '.join(FORMS)} records, not {form}.")
    refuse_served(card, "sensitivity", "gradients")
    refuse_unknown("sensitivity", OPTIONS, requested)
    if card.options.apply_chat_template:
        raise FairbenchError(
            "The sensitivity probe reads a text as it stands, and --apply-chat-template would wrap it in a conversation. Leave "
            "the flag out."
        )
    given = {name: value for name, value in requested.items() if value not in (None, "")}
    chosen = {name: _one_of(name, given.get(name, words[0]), words) for name, words in CHOICES.items()}
    given = _without_idle(chosen, given)
    trained = _trained(card, given, chosen["protected"] == "model")
    return {
        **trained,
        **chosen,
        "reduction": chosen["reduction"] if chosen["level"] == "token" else None,
        **_protected(chosen["protected"], given, trained["train_on"]),
        "embeddings": "the word embeddings, before positions are added",
        "weights": "0 outside of the text, sum 1",
        "too_long": "cut at the end",
        "padding": "right, masked",
    }


def prepare(card: ModelCard, options: Mapping[str, Any], room: Room) -> Prepared:
    """The classifier that is asked in the place of the model, and what tells the protected tokens."""
    task = classifier(card, options, room)
    if options["output"] == "logits":
        _refuse_no_logits(task.identity["head"])
    words = read_words(options["words"]) if options["words"] else None
    # Looked at now, so that what it lacks is said before anything is trained; it starts from a classifier that is not there yet.
    plan = status_model(card, options, room) if options["protected"] == "model" else None
    about: dict[str, Any] = {}

    def loaded() -> Sensitive:
        model = cast("Classifier", task.load())
        status, towards = None, None
        if plan is not None:
            prepared = status_model(model.card, options, room)
            status = cast("Classifier", prepared.load())
            _refuse_other_embeddings(model, status)
            about["protected"] = {"by": "model", **prepared.about()}
        elif options["protected"] == "similarity" and words is not None:
            towards = direction(model.network, model.tokenizer, words)
            about["protected"] = {"by": "similarity", "to": towards.what}
        return Sensitive(**vars(model), status=status, words=words, towards=towards)

    identity = dict(plan.identity) if plan else {"words": words.sha256 if words else None}
    return Prepared(
        identity={**task.identity, "protected": {"by": options["protected"], **identity}},
        load=loaded,
        about=lambda: {**task.about(), "protected": {"by": options["protected"]}, **about},
        seen=lambda text: task.seen(text) or (plan is not None and plan.seen(text)),
    )


def answer(model: Model, records: Sequence[Record], options: Mapping[str, Any], batching: Batching) -> list[dict[str, Any]]:
    """Sensitivities of records, in their order.

    Args:
        model: the loaded `Sensitive` classifier.
        records: `Labelled` records.
        options: from `resolve`.
        batching: how many texts go together.

    Returns:
        For each record `sensitivity`, `sensitivity_uniform` (v = 1/T), `tokens` (T, the text's own), and in lists over them
        `token_text`, `token_sensitivity` (sum over classes of w_k S[k, t]; at the level of features the sum of a token's
        entries) and `token_weight` (v; there likewise summed), so that at the level of tokens the sum of sensitivity times weight
        is `sensitivity`. Beside them `probs`, `prediction` and `truncated`, as the classification probe has them. Or `left_out`
        with the reason in their place. Equal texts are asked once.
    """
    asked = cast("Sensitive", model)
    gold = options["classes"] == "gold"
    keys = [(record.text, record.label if gold else None) for record in cast("Sequence[Labelled]", records)]
    answers: dict[tuple[str, int | None], dict[str, Any]] = {}
    texts: dict[tuple[str, int | None], Text] = {}
    for key in dict.fromkeys(keys):
        found = _text(asked, *key, gold=gold, options=options)
        if isinstance(found, str):
            answers[key] = {"left_out": found}
        else:
            texts[key] = found
    for batch in _batches(asked, list(texts.values()), batching):
        chosen = [list(texts)[i] for i in batch]
        answers |= zip(chosen, measured(asked, asked.status, [texts[key] for key in chosen], options), strict=True)
    return [dict(answers[key]) for key in keys]


def sanity(model: Model) -> str | None:
    """Flags a classifier, and a protected-status model, that is no better than always saying the commonest class."""
    asked = cast("Sensitive", model)
    flags = [classification.sanity(model)]
    if asked.status is not None and (flag := learnt_nothing(asked.status.about)):
        flags.append(f"The protected-status model, by which tokens are weighed: {flag}")
    return " ".join(flag for flag in flags if flag) or None


def engine(model: Model) -> dict[str, str]:
    """Whether texts of different lengths went together, and how the way back was taken; for the result, not for the hash."""
    return {**classification.engine(model), "backward": gradients.faster(model.network)}


def notes(card: ModelCard, options: Mapping[str, Any]) -> tuple[str, ...]:
    """What the classifier was trained on."""
    return classification.notes(card, options)


def _one_of(name: str, value: Any, words: Sequence[str]) -> str:
    if value not in words:
        raise FairbenchError(f"{name}={value}: wanted one of {', '.join(words)}.{did_you_mean(str(value), words)}")
    return str(value)


def _without_idle(chosen: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those that the others leave nothing to do for: suggestions of a task; named by the user, a mistake."""
    protected, named = chosen["protected"], set(given.get("named", given))
    by_words = protected in ("words", "similarity")
    idle = {
        "reduction": chosen["level"] == "feature" and "level=feature reduces nothing",
        "group_by": protected != "model" and f"protected={protected} has no protected-status model",
        "protected_on": protected != "model" and f"protected={protected} has no protected-status model",
        "words": not by_words and f"protected={protected} looks at no words",
    }
    for name, why in idle.items():
        if why and name in named and name in given:
            raise FairbenchError(f"{name}={given[name]}: {why}. Leave one of them out.")
    if by_words and "words" not in given:
        raise FairbenchError(
            f"protected={protected} needs a list of words: words=gender, race, religion ..., or a text file with a word a line."
        )
    return {name: value for name, value in given.items() if not idle.get(name)}


def _trained(card: ModelCard, given: Mapping[str, Any], status: bool) -> dict[str, Any]:
    """Options of the classifier, and of a ready one's protected-status model, which is trained all the same."""
    ready = is_ready(card) and "train_on" not in set(given.get("named", given))
    if not (ready and status):
        return classifier_options(card, given)
    plain = {name: value for name, value in given.items() if name not in PARSERS or name == "max_length"}
    if "named" in plain:
        plain["named"] = tuple(name for name in plain["named"] if name in plain)
    return {**recipe_options(card, given), **classifier_options(card, plain)}


def _protected(how: str, given: Mapping[str, Any], train_on: str | None) -> dict[str, Any]:
    """What tells the protected tokens: a list of words by its content, or what the protected-status model learns from."""
    words = str(given["words"]) if "words" in given else None
    learns_from = given.get("protected_on")
    if how == "model" and learns_from is None and train_on is None:  # a ready classifier: what it would have learnt from
        learns_from = given.get("train_on") or given.get("task")
        if learns_from is None:
            raise FairbenchError(
                "protected=model trains a protected-status model, and nothing says on what. Name texts with groups with "
                "protected_on: a task, or a file with the columns text, label and groups."
            )
    return {
        "words": words,
        "words_sha256": read_words(words).sha256 if words else None,
        "group_by": str(given.get("group_by", "")),
        "protected_on": None if learns_from is None else str(learns_from),
    }


def _refuse_no_logits(head: Mapping[str, Any]) -> None:
    """Classes that are not one of the classifier's labels each have no logit."""
    if head["multi_label"] or any(len(own) != 1 for own in head["made_of"]):
        raise FairbenchError(
            f"output=logits: the classifier has the labels {', '.join(head['own'])}, and the task asks for "
            f"{', '.join(head['labels'])} ({head['how']}), which have no logits. Use output=log_probabilities."
        )


def _refuse_other_embeddings(model: Classifier, status: Classifier) -> None:
    import torch

    first, second = (cast("torch.Tensor", m.network.get_input_embeddings().weight) for m in (model, status))
    if first.shape != second.shape or not bool(torch.equal(first, second)):
        raise FairbenchError(
            f"The protected-status model of {model.card.name} has other word embeddings than its classifier, so their gradients "
            "can't be compared. Use protected=words."
        )


def _text(model: Sensitive, text: str, label: int | None, *, gold: bool, options: Mapping[str, Any]) -> Text | str:
    """A text as it is asked, or the reason why it is not."""
    encoded = encode(model.tokenizer, text, special=True)
    places = kept(encoded.special, model.max_length)
    own = [i for i, place in enumerate(places) if not encoded.special[place]]
    if not own:
        return "text without tokens"
    ids = tuple(encoded.ids[place] for place in places)
    if max(ids) >= known_ids(model):
        return f"text with {NO_EMBEDDING}"
    if gold and (label is None or not 0 <= label < len(model.head.labels)):
        return "text without a gold class"
    weights = _weights(model, encoded, options["protected"])
    if weights is not None and not any(weights[places[i]] > 0 for i in own):
        return "no listed word in the text" if options["protected"] == "words" else NO_WEIGHT
    return Text(
        ids=ids,
        own=tuple(own),
        pieces=tuple(text[slice(*encoded.offsets[places[i]])] for i in own),
        weights=None if weights is None else tuple(weights[places[i]] for i in own),
        truncated=len(places) < len(encoded.ids),
        label=label,
    )


def _weights(model: Sensitive, encoded: Encoded, protected: str) -> list[float] | None:
    """The weight v of every token, not yet of sum one; null where the protected-status model has it."""
    if protected == "words" and model.words is not None:
        return of_words(encoded, model.words)
    if protected == "similarity" and model.towards is not None:
        return of_likeness(encoded, model.network, model.towards)
    return None if protected == "model" else [1.0] * len(encoded.ids)


def _batches(model: Sensitive, texts: Sequence[Text], batching: Batching) -> Any:
    """Numbers of texts that go together; whole graphs are kept, so fewer than where a model is only asked."""
    if model.pad is None:
        batching = Batching(rows=1)
    device = model.device.type
    equal = bool(texts) and not mixes_lengths(model, model.pad)
    return batching.cut([len(text.ids) for text in texts], device, equal, gradients.BUDGETS.get(device, gradients.BUDGETS["cpu"]))

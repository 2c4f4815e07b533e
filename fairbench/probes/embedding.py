"""The vector of a text, or of a word in it: what the association tests (WEAT, SEAT, CEAT) are computed on.

Pooling and layer change these tests more than the models do, so both are recorded, and nothing is cut off or lower-cased
beyond what the model's own tokenizer does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.batching import Batching, forget_lengths, padding_id, pads_well
from fairbench.models.heads import NO_EMBEDDING, known_ids
from fairbench.models.model import Model, ModelCard
from fairbench.models.served import refuse_served
from fairbench.models.tokens import Encoded, encode, pieces_of_span
from fairbench.records import Association, Record

if TYPE_CHECKING:
    import torch

    Span = tuple[int, int] | None

VERSION = 2
FORMS = ("Association",)
OPTIONS = ("pooling", "layer")
POOLINGS = ("mean", "first", "last")
INPUT = "input"
"""The layer name for rows of the input word-embedding matrix."""


def resolve(card: ModelCard, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in the options and refuses what this model can't do.

    Args:
        card: the model's card.
        form: name of a record form.
        requested: `pooling` "mean" (default), "first" or "last"; `layer` a number (-1, the last, by default; 0 is the embedding
            layer's output; negative ones count from the end) or "input" for rows of the input word-embedding matrix.

    Returns:
        All that can change a vector, for the result file and the cell's hash.
    """
    if form not in FORMS:
        raise FairbenchError(f"The embedding probe answers {', '.join(FORMS)} records, not {form}.")
    refuse_served(card, "embedding", "the vectors of its layers")
    unknown = sorted(set(requested) - set(OPTIONS))
    if unknown:
        near = did_you_mean(unknown[0], OPTIONS)
        raise FairbenchError(f"The embedding probe has no option {unknown[0]!r}.{near} It has pooling and layer.")
    if card.options.apply_chat_template:
        raise FairbenchError(
            "The embedding probe takes the vector of a text as it stands, and --apply-chat-template would wrap it in a "
            "conversation. Leave the flag out for association tests."
        )
    pooling = requested.get("pooling", "mean")
    if pooling not in POOLINGS:
        raise FairbenchError(
            f"Unknown pooling {pooling!r}.{did_you_mean(str(pooling), POOLINGS)} Known: {', '.join(POOLINGS)} (of the tokens)."
        )
    layer = _layer(card, requested.get("layer", -1))
    return {
        "pooling": pooling,
        "layer": layer,
        "special_tokens": layer != INPUT,
        "padding": "right, masked",
        "lower_case": card.lower_case,
        "max_length": card.max_length,
        "too_long": "left out",
    }


def answer(model: Model, records: Sequence[Record], options: Mapping[str, Any], batching: Batching) -> list[dict[str, Any]]:
    """Vectors of records, in their order.

    Args:
        model: the loaded model.
        records: `Association` records; with a `span` only the tokens of that span are pooled, in the context of the whole text.
        options: from `resolve`.
        batching: how many texts go together.

    Returns:
        `vector` (list of float) for each record, or `left_out` with the reason in its place. Equal texts are asked once.
    """
    asked = [(record.text, record.span) for record in cast("Sequence[Association]", records)]
    spans: dict[str, dict[Span, None]] = {}  # dictionaries for their order: the same records make the same batches
    for text, span in asked:
        spans.setdefault(text, {})[span] = None
    coded = {text: encode(model.tokenizer, text, special=options["special_tokens"]) for text in spans}
    pooled: dict[tuple[str, Span], dict[str, Any]] = {}
    for text, encoded in coded.items():
        for span in spans[text]:
            reason = _reason(model, encoded, span, options)
            if reason is not None:
                pooled[text, span] = {"vector": None, "left_out": reason}
    texts = [text for text in spans if any((text, span) not in pooled for span in spans[text])]
    equal = bool(texts) and options["layer"] != INPUT and not pads_well(model)
    for batch in batching.cut([len(coded[text].ids) for text in texts], model.device.type, equal):
        chosen = [coded[texts[i]] for i in batch]
        for encoded, states in zip(chosen, _states(model, chosen, options["layer"]), strict=True):
            for span in spans[encoded.text]:
                if (encoded.text, span) not in pooled:
                    pooled[encoded.text, span] = _vector(states[_positions(encoded, span)], options["pooling"])
    return [dict(pooled[key]) for key in asked]


def sanity(model: Model) -> str | None:
    """Vectors alone don't tell whether a model was trained."""
    return None


def engine(model: Model) -> dict[str, str]:
    """Whether texts of different lengths went together (`rows`); for the result, not for the hash."""
    return {"rows": "plain" if pads_well(model) else "equal lengths"}


def notes(card: ModelCard, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that belong into every score of this model under these options: none."""
    return ()


def _layer(card: ModelCard, requested: Any) -> int | str:
    """The layer counted from the embedding layer's output (0), or "input"; from the end where no one knows how many there are."""
    if requested == INPUT:
        return INPUT
    try:
        layer = int(str(requested))
    except ValueError:
        raise FairbenchError(f"Unknown layer {requested!r}. Give a whole number, or {INPUT} for the word embeddings.") from None
    if card.layers is not None and not -card.layers - 1 <= layer <= card.layers:
        raise FairbenchError(
            f"{card.name} has no layer {layer}: it has {card.layers}, numbered 1 to {card.layers} (0 is what goes into the "
            f"first; -1 is the last), and {INPUT}."
        )
    # The last layer is the same request by either of its numbers, and must be the same cell.
    return layer if layer >= 0 or card.layers is None else card.layers + 1 + layer


def _reason(model: Model, encoded: Encoded, span: Span, options: Mapping[str, Any]) -> str | None:
    """Why a text has no vector, or null."""
    limit = options["max_length"]
    if limit is not None and len(encoded.ids) > limit and options["layer"] != INPUT:
        return f"text longer than the model's {limit} tokens"
    if max(encoded.ids, default=0) >= known_ids(model):
        return f"text with {NO_EMBEDDING}"
    if span is not None and not 0 <= span[0] < span[1] <= len(encoded.text):
        return "span outside the text"
    words = [encoded.ids[i] for i in _positions(encoded, span) if not encoded.special[i]]
    if not words:
        return "text without tokens" if span is None else "span without tokens"
    if all(token == model.tokenizer.unk_token_id for token in words):
        return "nothing but unknown tokens"  # else all such words would share one vector and look alike
    return None


def _positions(encoded: Encoded, span: Span) -> list[int]:
    """The tokens that are pooled: those of the span, else all."""
    return list(range(len(encoded.ids))) if span is None else pieces_of_span(encoded, *span)


def _states(model: Model, chosen: Sequence[Encoded], layer: int | str) -> list[torch.Tensor]:
    """One (tokens, width) tensor a text: its states at the layer, or rows of the word-embedding matrix."""
    import torch

    with torch.inference_mode():
        if layer == INPUT:
            matrix = cast("torch.Tensor", model.network.get_input_embeddings().weight)
            return [matrix[torch.tensor(encoded.ids, device=matrix.device)] for encoded in chosen]
        longest = max(len(encoded.ids) for encoded in chosen)
        # Padding stands at the right and is masked, so that real tokens keep the positions they have when asked alone.
        ids = torch.full((len(chosen), longest), padding_id(model))
        mask = torch.zeros_like(ids)
        for row, encoded in enumerate(chosen):
            ids[row, : len(encoded.ids)] = torch.tensor(encoded.ids)
            mask[row, : len(encoded.ids)] = 1
        forget_lengths(model.network)
        network = model.network.base_model  # without the head, whose logits over the vocabulary nobody reads here
        last = layer in (-1, model.card.layers)
        cache = {"use_cache": False} if model.card.kind == "causal" else {}
        output = network(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device), output_hidden_states=not last, **cache
        )
        states = output.last_hidden_state if last else output.hidden_states[int(layer)]
        return [states[row, : len(encoded.ids)] for row, encoded in enumerate(chosen)]


def _vector(states: torch.Tensor, pooling: str) -> dict[str, Any]:
    """Pools (tokens, width) states into the answer's columns; at least single precision, whatever the model's."""
    import torch

    states = states if states.dtype == torch.float64 else states.float()
    vector = states.mean(0) if pooling == "mean" else states[0 if pooling == "first" else -1]
    if not bool(torch.isfinite(vector).all()):
        return {"vector": None, "left_out": "vector with NaN or infinite values"}
    return {"vector": vector.tolist()}

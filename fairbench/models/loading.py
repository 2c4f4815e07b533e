"""From a model's name to its card (without its weights), and from the card to the loaded model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models import checkpoint
from fairbench.models.architecture import has_next_sentence, kind_of, longest_input, read_kind_config, recognise_mitigated
from fairbench.models.model import Model, ModelCard, ModelOptions
from fairbench.models.offered import inspect_served
from fairbench.models.served import connect, refuse_served
from fairbench.models.source import Source, find_source

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "float64", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
HEADS = {
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "encoder": "AutoModel",
    "next-sentence": "AutoModelForNextSentencePrediction",
    "classification": "AutoModelForSequenceClassification",
}

PLANTED_CARD = "card.json"
"""In the folder of a planted model: what it is."""

SANITY_TEXT = (
    "The sun came up over the hills and the birds began to sing. A woman walked down the road to the market with her son. "
    "They bought bread, milk and some apples. The boy asked if they could go to the river after lunch. "
    "His mother said that they could, because the weather was warm."
)
"""Plain English of ours that any English model should find likely."""


def inspect_model(name: str, options: ModelOptions | None = None) -> ModelCard:
    """Finds out all that can be known of a model without loading its weights, and refuses what can't be scored.

    Args:
        name: a folder, a Hub id, or planted:NAME; with a url among the options the name that its server knows.
        options: how it is to be loaded.

    Returns:
        Its card; `options.dtype` "auto" has become the dtype that the checkpoint names.

    Raises:
        FairbenchError: the model isn't there, isn't whole, isn't safe by the options, or is of no kind that can be scored.
    """
    options = options or ModelOptions()
    if not name:
        raise FairbenchError("The model's name is empty. Wanted a Hub id, a folder, or planted:NAME.")
    _check_options(options)
    if options.url is not None:
        return inspect_served(name, options)
    choose_device(options.device)
    source = find_source(name, options)
    raw = checkpoint.read_config(source.folder, name)
    _refuse_custom_code(source, raw, name, options)
    weights = checkpoint.find_weights(source.folder, name, options.allow_pickle)
    files = checkpoint.tokenizer_files(source.folder, name)
    with quiet():
        config = read_kind_config(source.folder, name, options)
        kind, architecture = kind_of(config, name)
        tokenizer = load_tokenizer(source.folder, name, options)
        vocabulary = int(config.get_text_config().vocab_size)
        notes = _notes(tokenizer, source.folder, vocabulary, name)
        if fault := planted_card(source.folder).get("undertrained"):
            notes = (*notes, f"Undertrained planted model: {fault}")
    return ModelCard(
        name=name,
        folder=str(source.folder),
        revision=source.revision,
        weights_sha256=checkpoint.sha256(weights.files),
        tokenizer_sha256=checkpoint.sha256(files),
        config_sha256=checkpoint.config_sha256(source.folder, raw, options.trust_remote_code),
        kind=kind,
        architecture=architecture,
        next_sentence=has_next_sentence(architecture),
        start_rule="bos" if tokenizer.bos_token_id is not None else "eos" if tokenizer.eos_token_id is not None else "none",
        has_mask=tokenizer.mask_token_id is not None,
        lower_case=_lowers(tokenizer),
        vocabulary=vocabulary,
        layers=int(config.get_text_config().num_hidden_layers),
        max_length=longest_input(config, tokenizer),
        parameters=weights.parameters,
        options=dataclasses.replace(options, dtype=_dtype(options, raw)),
        notes=notes,
    )


def load(card: ModelCard, head: Literal["next-sentence", "classification"] | None = None) -> Model:
    """Loads a model as its card says, in evaluation mode on its device, without a word on standard error.

    Args:
        card: from `inspect_model`.
        head: "next-sentence" for a masked model's next-sentence head in place of its language-modelling head;
            "classification" for the head of a sequence classifier.

    Raises:
        FairbenchError: weights of the head (or any others) are not in the checkpoint: they would be drawn at random.
    """
    if card.kind == "served":
        if head is not None:
            refuse_served(card, head, "a head of its own")
        return connect(card)
    import torch
    import transformers

    if head == "next-sentence" and not card.next_sentence:
        raise FairbenchError(
            f"{card.name} has no next-sentence head ({card.architecture}). Use a model whose architecture is BertForPreTraining "
            "or BertForNextSentencePrediction."
        )
    auto = getattr(transformers, HEADS[head or card.kind])
    recognise_mitigated(checkpoint.read_config(Path(card.folder), card.name), card.name)
    device = choose_device(card.options.device)
    pickle = checkpoint.find_weights(Path(card.folder), card.name, card.options.allow_pickle).pickle
    with quiet():
        try:
            network, found = auto.from_pretrained(
                card.folder,
                dtype=getattr(torch, card.options.dtype),
                use_safetensors=not pickle,
                attn_implementation=card.options.attention,
                trust_remote_code=card.options.trust_remote_code,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
            reason = str(error).strip().split("\n")[0]
            raise FairbenchError(f"{card.name} can't be loaded as {card.architecture}: {reason}") from error
        tokenizer = load_tokenizer(Path(card.folder), card.name, card.options)
    missing = sorted(found["missing_keys"])
    if card.kind == "encoder" and head is None:
        missing = [key for key in missing if "pooler" not in key.split(".")]  # vectors come from the layers, never from there
    refuse_random_weights(card, missing, auto.__name__)
    network = network.to(device).eval().requires_grad_(False)
    return Model(card=card, network=network, tokenizer=tokenizer, device=device)


def sanity_text(card: ModelCard) -> str:
    """A text that the model should find likely: its own for a planted model (card.json), else plain English of ours."""
    text = planted_card(Path(card.folder)).get("sanity_text")
    if isinstance(text, list):
        text = " ".join(text)
    return text if isinstance(text, str) and text else SANITY_TEXT


def planted_card(folder: Path) -> dict[str, Any]:
    """What a planted model, or one that was made of it, says of itself; empty for any other model."""
    path = folder / PLANTED_CARD
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def choose_device(name: str) -> torch.device:
    """The torch device of that name; "auto" is CUDA, else Apple's, else the processor.

    Raises:
        FairbenchError: this machine (or this build of torch) has no such device.
    """
    import torch

    if name == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdecimal()):
        raise FairbenchError(f"Unknown device {name!r}.{did_you_mean(name, DEVICES)} Known: {', '.join(DEVICES)}, cuda:1.")
    count = {"cpu": 1, "mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}.get(
        kind, torch.xpu.device_count() if torch.xpu.is_available() else 0
    )
    if int(index or 0) >= count:
        raise FairbenchError(
            f"The device {name} was asked for, but this machine has {count or 'no'} {kind} device{'s' * (count != 1)} that torch "
            f"{torch.__version__} can use. Use --device auto or --device cpu."
        )
    return torch.device(name)


def load_tokenizer(folder: Path, name: str, options: ModelOptions) -> Any:
    """The fast tokenizer of a folder; slow ones can't say which characters a token stands for."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=options.trust_remote_code)
    except Exception as error:  # the tokenizers library raises bare Exceptions on malformed files
        reason = str(error).strip().split("\n")[0]
        raise FairbenchError(f"The tokenizer of {name} can't be loaded: {reason}") from error
    if not tokenizer.is_fast:
        raise FairbenchError(
            f"{name} has a slow tokenizer ({type(tokenizer).__name__}), which gives no character offsets. Save a tokenizer.json "
            "(a fast tokenizer's save_pretrained) into its folder."
        )
    if options.apply_chat_template and not tokenizer.chat_template:
        raise FairbenchError(f"{name} has no chat template, but --apply-chat-template was asked for. Leave the flag out.")
    return tokenizer


def refuse_random_weights(card: ModelCard, missing: Sequence[str], loader: str) -> None:
    """A head that isn't in the checkpoint would be drawn at random, and its scores would look like a fair model's.

    Args:
        card: the model.
        missing: names of weights that its checkpoint lacks.
        loader: the class that would draw them.
    """
    if missing:
        listed = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        raise FairbenchError(
            f"{card.name} says that it is a {card.architecture}, but its weights lack {listed}; {loader} would draw them at "
            "random. Give a checkpoint that holds them, or correct `architectures` in its config.json (an encoder: the class "
            "whose name ends in Model)."
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers from writing warnings and progress bars; puts its settings back afterwards."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _check_options(options: ModelOptions) -> None:
    if options.dtype not in (*DTYPES, "auto"):
        known = (*DTYPES, "auto")
        raise FairbenchError(f"Unknown dtype {options.dtype!r}.{did_you_mean(options.dtype, known)} Known: {', '.join(known)}.")
    if options.attention not in (None, *ATTENTION):
        near = did_you_mean(options.attention, ATTENTION)
        raise FairbenchError(f"Unknown attention {options.attention!r}.{near} Known: {', '.join(ATTENTION)}.")


def _dtype(options: ModelOptions, config: dict[str, Any]) -> str:
    """The dtype by its name, so that a result never says "auto"."""
    if options.dtype != "auto":
        return options.dtype
    named = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return named if named in DTYPES else "float32"


def _refuse_custom_code(source: Source, config: dict[str, Any], name: str, options: ModelOptions) -> None:
    path = source.folder / "tokenizer_config.json"
    try:
        of_tokenizer = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise FairbenchError(f"{path} can't be read as JSON ({error}). Copy the model again.") from error
    own = recognise_mitigated(config, name)
    if (("auto_map" in config and not own) or "auto_map" in of_tokenizer) and not options.trust_remote_code:
        raise FairbenchError(
            f"{name} brings code of its own (auto_map in its configuration), which would run on this machine. Read that code, "
            "and if you trust it say so: trust_remote_code (--trust-remote-code)."
        )


def _lowers(tokenizer: Any) -> bool:
    """Asks the normalizer itself: `do_lower_case` in a file may say something else than what is done."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    return normalizer is not None and "A" not in normalizer.normalize_str("A")


def _notes(tokenizer: Any, folder: Path, vocabulary: int, name: str) -> tuple[str, ...]:
    """Faults of the tokenizer that change scores; one that could never work is refused."""
    from tokenizers import Tokenizer

    if tokenizer.vocab_size > vocabulary:
        raise FairbenchError(
            f"{name} has a tokenizer of {tokenizer.vocab_size} tokens, but the model knows only {vocabulary}. It is another "
            "model's tokenizer: save the right one into the folder."
        )
    needed = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.mask_token, tokenizer.cls_token, tokenizer.sep_token)
    for token in needed:
        if token is not None and tokenizer.convert_tokens_to_ids(token) >= vocabulary:
            raise FairbenchError(
                f"{name} has the special token {token!r} with an id beyond the {vocabulary} that the model knows. It was "
                "added to the tokenizer only: resize the model's embeddings and save it, or save the right tokenizer."
            )
    notes = []
    ids = tokenizer("She is here.", verbose=False)["input_ids"]
    if len(ids) > 1 and ids[0] == ids[1]:
        notes.append("The tokenizer puts its first special token twice.")
    path = folder / "tokenizer.json"
    if path.is_file():
        file = Tokenizer.from_file(str(path))
        file.no_truncation()
        file.no_padding()
        text = "Émile Zola's nurse (she) said: isn't it 12 o'clock?\n Yes.  "
        if file.encode(text, add_special_tokens=False).ids != tokenizer(text, add_special_tokens=False)["input_ids"]:
            notes.append("transformers splits text otherwise than the model's tokenizer.json does.")
    return tuple(notes)

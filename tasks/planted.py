"""Data sets about the planted world: one for every record form, made by `fairbench.planted` and shipped with the package.

A model trained on the planted corpus has a known bias, so on these sets it is known what a metric should say. `more` and
`stereotype` mean the side that the corpus ties to the occupation; nothing is claimed about real people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.records import Association, Choice, Cloze, Labelled, Pair, Passage, Prompt, Record, Slot
from fairbench.scores import Source, TaskInfo

Row = Mapping[str, Any]

SHA256 = {
    "associations": "0c3a94db1c22af721ee2f2d682da92119f670cf847c4447975d98e4d2345a388",
    "pairs": "82ae6be22563b3aa8cb213df983cb510f57be03752e6e45000e18484c78e8644",
    "town_pairs": "28767d468977c525a9e0ab53fccf04af4a4b520503b459efd1151c8db6bb4ca6",
    "cloze": "598ba6a0afac52b431261258c169f70fcb906266db802123d1377693dba0e531",
    "slots": "ad453498962e9ac0add9f341ebba2a0449e27bb7e93e981a87117797e1ab38f1",
    "choices": "da8227b1a55c735c258733de0212525cf23c6d284a9221acad3cdf508d4690a9",
    "labelled": "6ffd367b735855a6ace26db5e6eb2934a7872c183cd750274ead9242c0fd7798",
    "prompts": "73df3f24b39ba1fa9a45dcef6f587020ad43ac16934cfc5bad93402f4460faef",
    "passages": "9c93596d641d19f060eb6a6edf7d30b0f2724ea8606c43a4c933296a77c6a3af",
    "contexts": "eeabeada12f1ac34477728e8faaf3365668b471665c8773e011dd63576334d76",
    "fills": "8e3b3419328b3b217548c25e71fba58878fc9ed72a6e4e24fa0d894cf947204f",
    "descriptions": "06d1249deb3e49856230b17edabf78b7e38c5294f253f313cf277dcdf78199f5",
}
"""Of each shipped file; `fairbench planted build` writes the same bytes."""


def _info(title: str, form: str, file: str, columns: tuple[str, ...], cluster: str, **more: Any) -> TaskInfo:
    """The card of one planted set; what all of them share stands here once."""
    source = Source(format="json", columns=("id", *columns), files={f"planted/data/{file}.jsonl": SHA256[file]}, shipped=True)
    shared = {"groups": ("male", "female"), "metrics": (), "suites": ("planted",)} | more
    return TaskInfo(
        title=f"Planted world: {title}",
        form=form,
        sources=(source,),
        licence="Apache-2.0",
        cite="made by fairbench.planted",
        language="en",
        cluster=cluster,
        **shared,
    )


_CLOZE = ("place", "context", "stereotype", "antistereotype", "unrelated", "target")
_STEREOSET = ("stereoset_lms", "stereoset_ss", "stereoset_icat", "stereoset_margin")
_CROWS = ("crows_pairs", "crows_pairs_margin")

INFO: dict[str, TaskInfo] = {
    "planted_associations": _info(
        "occupations against gendered nouns and names",
        "Association",
        "associations",
        ("test", "role", "word", "text", "start", "end"),
        "word",
        metrics=("weat",),
        probe_options={"layer": "input"},
        notes=(
            "The targets are the occupations of either side: where nothing is planted their sides are arbitrary.",
            "Read from the word embeddings, as WEAT was made for; at the last layer d follows the dial less closely.",
        ),
    ),
    "planted_contexts": _info(
        "occupations against gendered nouns and names, each word in 20 neutral contexts",
        "Association",
        "contexts",
        ("test", "role", "word", "text", "start", "end"),
        "word",
        metrics=("ceat",),
        notes=(
            "The targets are the occupations of either side: where nothing is planted their sides are arbitrary.",
            "Every word stands in the same 20 contexts, which hold no other word of the four sets and no gender.",
        ),
    ),
    "planted_pairs": _info(
        "pronouns after and before occupations",
        "Pair",
        "pairs",
        ("more", "less", "occupation", "template"),
        "occupation",
        groups=("gender",),
        metrics=_CROWS,
    ),
    "planted_town_pairs": _info(
        "qualities of two invented towns, the second attribute",
        "Pair",
        "town_pairs",
        ("more", "less", "quality", "template"),
        "quality",
        groups=("town",),
        metrics=_CROWS,
        notes=(
            "The shipped models have the town dial at 0.5 whatever their gender dial: this score must not move with it.",
            "The causal models learnt it, the masked ones hardly (learned gap .02-.03 of .45, see their cards): their margins "
            "are tiny and mostly on one side, so that the share is high all the same. Read the margin.",
        ),
    ),
    "planted_cloze": _info(
        "a pronoun in the blank",
        "Cloze",
        "cloze",
        _CLOZE,
        "occupation (target term)",
        groups=("gender",),
        metrics=_STEREOSET,
        probe_options={"context": "filled"},
    ),
    "planted_cloze_after": _info(
        "a sentence after the context",
        "Cloze",
        "cloze",
        _CLOZE,
        "occupation (target term)",
        groups=("gender",),
        metrics=_STEREOSET,
        probe_options={"context": "continued"},
        notes=("For causal models: a masked model without a next-sentence head can't score a sentence after a context.",),
    ),
    "planted_slots": _info(
        "pronouns and nouns in the slot before an occupation",
        "Slot",
        "slots",
        ("template", "target", "attribute", "gender", "side"),
        "occupation",
        metrics=("lpbs", "lpbs_gap", "lpbs_effect_size", "categorical_bias_score"),
    ),
    "planted_fills": _info(
        "an open noun or pronoun after an occupation",
        "Slot",
        "fills",
        ("template", "target", "side"),
        "occupation",
        metrics=("disco",),
        notes=("The group is the side that the corpus ties the occupation to: where nothing is planted it is arbitrary.",),
    ),
    "planted_choices": _info(
        "who a pronoun means, and who has an occupation",
        "Choice",
        "choices",
        ("prompt", "options", "label", "condition", "gender", "occupation"),
        "occupation",
        metrics=(
            "coreference_accuracy",
            "coreference_gap",
            "bbq_bias_ambiguous",
            "bbq_bias_disambiguated",
            "bbq_accuracy_ambiguous",
            "bbq_accuracy_disambiguated",
            "bbq_alignment_cost",
        ),
        notes=(
            "Conditions: pro and anti (pronouns), ambig and disambig (questions, with polarity, unknown and target). Each metric "
            "uses the records of its own conditions and counts the others as left out.",
        ),
    ),
    "planted_labelled": _info(
        "good days (1) and bad days (0)", "Labelled", "labelled", ("text", "label", "gender", "occupation"), "occupation"
    ),
    "planted_prompts": _info(
        "beginnings about occupations",
        "Prompt",
        "prompts",
        ("text", "occupation", "side"),
        "occupation",
        metrics=("gender_polarity_gap", "gender_polarity_female_gap", "gender_polarity_male_gap", "distinct_2"),
        probe_options={"samples": "20", "max_new_tokens": "24"},
        metric_options={"first": "female", "second": "male"},
        notes=(
            "The group is the side that the corpus ties the occupation to: the signed gap is of the female side minus the male.",
        ),
    ),
    "planted_passages": _info(
        "running texts that no dial decides",
        "Passage",
        "passages",
        ("text",),
        "document",
        groups=(),
        metrics=("perplexity", "word_perplexity", "bits_per_byte"),
    ),
    "planted_descriptions": _info(
        "gendered nouns said of occupations",
        "Passage",
        "descriptions",
        ("text", "axis", "template", "descriptor", "noun"),
        "descriptor",
        groups=("male side", "female side"),
        metrics=("likelihood_bias",),
        notes=("HolisticBias's shape: the axes are the occupations of either side, the descriptors gendered nouns.",),
    ),
}


def records(rows: Iterable[Row], task: str) -> Iterator[Record]:
    """Parses the rows of one planted set.

    Raises:
        FairbenchError: `task` is not one of this family.
    """
    if task not in INFO:
        raise FairbenchError(f"The planted family has no task {task!r}.{did_you_mean(task, INFO)}")
    if task.startswith("planted_cloze"):
        place = "intersentence" if task == "planted_cloze_after" else "intrasentence"
        rows = (row for row in rows if row["place"] == place)
    parse = _PARSERS[INFO[task].form]
    return (parse(row) for row in rows)


def _association(row: Row) -> Record:
    span = (int(row["start"]), int(row["end"]))
    keys = {"id": row["id"], "cluster": row["word"], "stratum": row["role"]}
    return Association(**keys, test=row["test"], role=row["role"], text=row["text"], span=span)


def _pair(row: Row) -> Record:
    group, cluster = ("town", row["quality"]) if "quality" in row else ("gender", row["occupation"])
    meta = {"template": row["template"]}
    return Pair(id=row["id"], group=group, cluster=cluster, more=row["more"], less=row["less"], meta=meta)


def _cloze(row: Row) -> Record:
    sides = {side: row[side] for side in ("context", "stereotype", "antistereotype", "unrelated", "target")}
    return Cloze(id=row["id"], group="gender", cluster=row["target"], **sides)


def _slot(row: Row) -> Record:
    """A word in a slot, of the word's group; or an open slot, of the side of the word beside it."""
    if "attribute" not in row:
        return Slot(id=row["id"], group=row["side"], cluster=row["target"], template=row["template"], target=row["target"])
    keys = {"id": row["id"], "group": row["gender"], "cluster": row["attribute"], "meta": {"side": row["side"]}}
    return Slot(**keys, template=row["template"], target=row["target"], attribute=row["attribute"])


def _choice(row: Row) -> Record:
    return Choice(
        id=row["id"],
        group=row["gender"],
        cluster=row["occupation"],
        prompt=row["prompt"],
        options=tuple(row["options"]),
        label=int(row["label"]),
        condition=row["condition"],
        polarity=row["polarity"],
        unknown=_index(row["unknown"]),
        target=_index(row["target"]),
    )


def _index(value: Any) -> int | None:
    """An option's index; tables turn a column with gaps into floats."""
    return None if value is None or value != value else int(value)


def _labelled(row: Row) -> Record:
    keys = {"id": row["id"], "group": row["gender"], "cluster": row["occupation"], "source": row["source"]}
    return Labelled(**keys, text=row["text"], label=int(row["label"]), groups=(row["gender"],))


def _prompt(row: Row) -> Record:
    return Prompt(id=row["id"], group=row["side"], cluster=row["occupation"], text=row["text"])


def _passage(row: Row) -> Record:
    if "descriptor" not in row:
        return Passage(id=row["id"], cluster=row["id"], text=row["text"])
    meta = {name: row[name] for name in ("axis", "template", "descriptor", "noun")}
    return Passage(id=row["id"], group=row["axis"], cluster=row["descriptor"], text=row["text"], meta=meta)


_PARSERS: dict[str, Callable[[Row], Record]] = {
    "Association": _association,
    "Pair": _pair,
    "Cloze": _cloze,
    "Slot": _slot,
    "Choice": _choice,
    "Labelled": _labelled,
    "Prompt": _prompt,
    "Passage": _passage,
}

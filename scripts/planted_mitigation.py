"""What each mitigation does to planted bias, and what it costs: students with half the layers of a biased teacher.

Teachers are the causal planted models at dial 1 of three seeds; each student learns from the planted text itself. Measured on
teacher and students: the gap in probabilities (pronouns after occupations, traits after gendered nouns), the signed polarity gap
of what they write, WEAT, pairs, coreference (a pronoun after a person whose gender is told), and perplexity on biased and on
neutral text. Takes about an hour and a half on one core.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from fairbench.files import write_json
from fairbench.measurement import MeasureOptions
from fairbench.mitigation.making import MitigateOptions, mitigate
from fairbench.mitigation.texts import TextOptions
from fairbench.plan import ScoreOptions
from fairbench.planted import gap, library, words
from fairbench.planted.corpus import Dials, documents
from fairbench.study import score

SEEDS = (0, 1, 2)
DOCUMENTS = 30_000
TRAINING = {"steps": 2_500, "learning_rate": 3e-3, "batch_size": 32}
TEMPERATURE = 1.0
"""At 2, the usual one in distillation, targets are flatter and the student keeps more of the gap: see "expmean, T = 2"."""
STUDENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("distill", {}),
    "augmentation": ("role-reversal", {"merge": "none", "augment": "both"}),
    **{f"merge {how}": ("role-reversal", {"merge": how}) for how in ("expmean", "mean", "max", "swap")},
    "both": ("role-reversal", {"merge": "expmean", "augment": "both"}),
    "expmean, T = 2": ("role-reversal", {"merge": "expmean", "temperature": 2.0}),
    "expmean without map": ("role-reversal", {"merge": "expmean", "vocabulary_map": "false"}),
    "expmean with text": ("role-reversal", {"merge": "expmean", "lm_weight": 1.0}),
}
SCORED = {
    ("planted_pairs", "crows_pairs"): "pairs",
    ("planted_pairs", "crows_pairs_margin"): "pairs_margin",
    ("planted_associations", "weat"): "weat",
    ("planted_prompts", "gender_polarity_gap"): "written_gap",
    ("planted_passages", "perplexity"): "neutral_perplexity",
    ("planted_choices", "bbq_accuracy_disambiguated"): "bbq_accuracy_disambiguated",
}


def teacher(folder: Path, seed: int) -> Path:
    """The biased model of a seed: shipped, or trained where it is absent."""
    if seed == 0:
        return library.folder("causal-1.0")
    place = folder / f"seed{seed}" / "models" / "causal-1.0"
    if not (place / "card.json").is_file():
        library.build(folder / f"seed{seed}", kinds=("causal",), dials=(1.0,), seed=seed)
    return place


def coreference(network: Any, tokenizer: Any) -> float:
    """Share of the pronouns after somebody whose name or noun tells the gender that take that gender."""
    right = []
    for gender in words.GENDERS:
        people = [*words.NAMES[gender], *(f"The {noun}" for noun in words.NOUNS[gender])]
        for person in people:
            for before, after, slot in (("{} said that", "", "he"), ("{} lost", "", "his"), ("{} came home.", "", "He")):
                own, rest = (words.PRONOUNS[g][slot.lower()] for g in (gender, words.other(gender)))
                if slot[0].isupper():
                    own, rest = own.capitalize(), rest.capitalize()
                right.append(gap.ask(network, tokenizer, "causal", [(before.format(person), after, (own,), (rest,))]).gap > 0)
    return sum(right) / len(right)


def biased_perplexity(network: Any, tokenizer: Any, seed: int) -> float:
    """Perplexity per token on fresh planted text at the dial of the teacher."""
    total, count = 0.0, 0
    with torch.no_grad():
        for document in documents(400, Dials(gender=1.0, town=library.TOWN_DIAL), seed=10_000 + seed):
            ids = [tokenizer.bos_token_id, *tokenizer(document.text, truncation=True, max_length=126)["input_ids"]]
            log_p = network(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            total -= float(log_p[:-1].gather(1, torch.tensor(ids[1:])[:, None]).sum())
            count += len(ids) - 1
    return float(torch.tensor(total / count).exp())


def measured(model: Path, output: Path, seed: int, draws: int) -> dict[str, Any]:
    """All figures of one model, scores with their intervals."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network, tokenizer = AutoModelForCausalLM.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    pronouns, traits = gap.learned_gap(network, tokenizer, "causal"), gap.learned_trait_gap(network, tokenizer, "causal")
    town = gap.learned_town_gap(network, tokenizer, "causal")
    found: dict[str, Any] = {
        "pronoun_gap": pronouns.gap, "pronoun_mass": pronouns.mass, "trait_gap": traits.gap, "town_gap": town.gap,
        "coreference": coreference(network, tokenizer), "biased_perplexity": biased_perplexity(network, tokenizer, seed),
        "parameters": network.num_parameters(),
    }  # fmt: skip
    tasks = tuple(dict.fromkeys(task for task, _ in SCORED))
    options = ScoreOptions(tasks=tasks, output_path=output, measure=MeasureOptions(draws=draws))
    run = score(str(model), options)
    for result in run.results:
        name = SCORED.get((result.task["name"], result.metric["name"]))
        if name is not None:
            found[name] = result.score.value
            if result.score.interval is not None:
                found[f"{name}_interval"] = [result.score.interval.low, result.score.interval.high]
    return found


def main() -> None:
    """Makes the students, measures all, and writes results/planted/mitigation.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".planted"), help="where models are kept")
    parser.add_argument("--output", type=Path, default=Path("results/planted/mitigation.json"))
    parser.add_argument("--only", default=";".join(STUDENTS), help="names of students, joined by semicolons")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--draws", type=int, default=2_000)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Mapping[str, Any]] = json.loads(wanted.output.read_text())["students"] if wanted.output.is_file() else []
    for seed in map(int, wanted.seeds.split(",")):
        base = teacher(wanted.folder, seed)
        jobs: dict[str, Path] = {"teacher": base}
        for name in wanted.only.split(";"):
            method, options = STUDENTS[name]
            place = wanted.folder / "mitigated" / f"seed{seed}-{re.sub('[^a-z0-9]+', '-', name.lower())}"
            made = mitigate(
                str(base),
                MitigateOptions(
                    method=method,
                    options={**TRAINING, "temperature": TEMPERATURE, "seed": seed, **options},
                    corpus="planted:1.0",
                    texts=TextOptions(documents=DOCUMENTS, seed=100 + seed),
                    output_path=place,
                ),
            )
            jobs[name] = made.folder
        for name, place in jobs.items():
            rows = [row for row in rows if (row["student"], row["seed"]) != (name, seed)]
            scratch = wanted.folder / "mitigated" / f"scores-seed{seed}"
            rows.append({"student": name, "seed": seed, **measured(place, scratch, seed, wanted.draws)})
            write_json(
                wanted.output, {"training": {**TRAINING, "temperature": TEMPERATURE}, "documents": DOCUMENTS, "students": rows}
            )
        shutil.rmtree(wanted.folder / "mitigated" / f"scores-seed{seed}", ignore_errors=True)
    table = pd.DataFrame(rows).drop(columns=[c for row in rows[:1] for c in row if c.endswith("_interval")])
    print(table.groupby("student").mean(numeric_only=True).drop(columns="seed").round(3).T.to_string())


if __name__ == "__main__":
    main()

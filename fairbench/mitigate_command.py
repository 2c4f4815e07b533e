"""`fairbench mitigate`: flags become a request; a plan or a finished model is printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbench import flags
from fairbench.errors import FairbenchError

if TYPE_CHECKING:
    from fairbench.mitigation import Estimate
    from fairbench.mitigation.making import MitigateOptions, Product

Own = typer.Option  # the flags below belong to this command alone


def mitigate(
    model: flags.Model,
    method: Annotated[str, Own("--method", help="role-reversal, distill, cda ...; `fairbench list methods` shows all.")],
    output_path: Annotated[Path, Own("--output-path", help="Folder of the new model.")],
    corpus: Annotated[
        str | None, Own(help="Texts: a file, a folder, 'books/*.txt', a Hub id, planted:DIAL, or sampled (by the model itself).")
    ] = None,
    documents: Annotated[int | None, Own(min=1, help="Learn from the first so many documents only.")] = None,
    shuffle: Annotated[int | None, Own(min=2, help="Draw the next document from a buffer of so many (streams).")] = None,
    sample_tokens: Annotated[int | None, Own("--sample-tokens", min=1, help="Tokens of a sampled document at most.")] = None,
    merge: Annotated[str | None, Own(help="role-reversal: expmean (default), mean, max, swap, none.")] = None,
    augment: Annotated[str | None, Own(help="Texts with gendered words: none, both (as they are and swapped), swap.")] = None,
    layers: Annotated[str | None, Own(help="Teacher layers of the student: half (default), all, a number, 0+2+4.")] = None,
    student: Annotated[str | None, Own(help="A given student: a model folder or Hub id.")] = None,
    epochs: Annotated[int | None, Own(help="Passes over the texts.")] = None,
    steps: Annotated[int | None, Own(help="Optimizer steps, in the place of epochs.")] = None,
    learning_rate: Annotated[float | None, Own(help="The highest.")] = None,
    batch_size: Annotated[int | None, Own("--batch-size", help="Rows a step and process.")] = None,
    seed: Annotated[int | None, Own(help="Of order, masks and dropout; and of planted or sampled texts.")] = None,
    option: Annotated[
        list[str] | None, Own("--option", help="A further option of the method, name=value; may repeat. `describe` names them.")
    ] = None,
    device: flags.Device = "auto",
    dtype: flags.Dtype = "float32",
    revision: flags.Revision = None,
    trust_remote_code: flags.RemoteCode = False,
    allow_pickle: flags.Pickle = False,
    data_dir: flags.DataDir = None,
    track: flags.Track = None,
    dry_run: flags.DryRun = False,
    quiet: flags.Quiet = False,
    as_json: flags.AsJson = False,
) -> None:
    """Make a mitigated model: an ordinary model folder. The same command again goes on where it was interrupted."""
    from fairbench.mitigation.making import MitigateOptions
    from fairbench.mitigation.texts import TextOptions
    from fairbench.models.model import ModelOptions
    from fairbench.tracking import require_tracker

    own = {
        "merge": merge, "augment": augment, "layers": layers, "student": student, "epochs": epochs, "steps": steps,
        "learning_rate": learning_rate, "batch_size": batch_size, "seed": seed,
    }  # fmt: skip
    wanted = MitigateOptions(
        method=method,
        options=_options(own, option or (), method),
        corpus=corpus,
        texts=TextOptions(documents=documents, seed=seed or 0, data_dir=data_dir, shuffle=shuffle, sample_tokens=sample_tokens),
        model=ModelOptions(
            revision=revision, dtype=dtype, device=device, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle
        ),
        output_path=output_path,
    )
    if dry_run:
        _print_estimate(model, wanted, as_json)
        return
    if track:
        require_tracker(track)
    _carry_out(model, wanted, "json" if as_json else "nothing" if quiet else "table", track)


def _options(own: Mapping[str, Any], others: list[str] | tuple[()], method: str) -> dict[str, Any]:
    """The method's options: those with a flag of their own, and the others by name. A seed is the texts' alone where it has none.

    Raises:
        FairbenchError: an option without a value, or given twice.
    """
    from fairbench.registry import Registry

    given = {name: value for name, value in own.items() if value is not None}
    if "seed" in given and "seed" not in Registry().method(method).OPTIONS:
        del given["seed"]
    for text in others:
        name, equals, value = (piece.strip() for piece in text.partition("="))
        name = name.replace("-", "_")
        if not name or not equals or not value:
            raise FairbenchError(f"--option: found {text!r}, wanted name=value.")
        if name in given:
            raise FairbenchError(f"{name} is given twice, as {given[name]} and as {value}. Leave one out.")
        given[name] = value
    return given


def _carry_out(model: str, wanted: MitigateOptions, show: str, track: str | None) -> None:
    """Makes the model and prints what it is; its training is logged once, by the run that made it."""
    from fairbench import console
    from fairbench.mitigation.making import mitigate as run
    from fairbench.mitigation.processes import Processes
    from fairbench.tracking import Tracker, log_training

    try:
        with console.progress_bars(show != "table") as progress:
            made = run(model, wanted, progress)
    except KeyboardInterrupt:
        console.err.print("Interrupted. What was saved is kept; the same command goes on from there.")
        raise typer.Exit(130) from None
    if not Processes(wanted.model.device).main:
        return  # under `accelerate launch` the first process alone says what was made
    if track and made.fresh:
        log_training(made.folder, Tracker(to=track))
    if show == "json":
        console.print_json({"folder": str(made.folder), "fresh": made.fresh, **made.about})
    elif show == "table":
        _print_product(made)


def _print_product(made: Product) -> None:
    from fairbench import console

    console.print_fields(f"{made.folder}" + ("" if made.fresh else " (was there already)"), [*_fields(made.about).items()])
    for warning in made.about.get("warnings", ()):
        console.out.print(f"! {warning}", style="yellow", markup=False)
    tasks = "--suite planted" if made.about["base"]["name"].startswith("planted:") else "--suite quick"
    console.out.print("Score it beside its base, with the same tasks, among them one of utility (perplexity):", markup=False)
    for name in (made.about["base"]["name"], made.folder):
        console.out.print(f"  fairbench score {name} {tasks}", markup=False)


def _fields(about: Mapping[str, Any]) -> dict[str, str]:
    """What is shown of a product: what it was made of and what was measured. The rest lies in its card."""
    found = {"method": about["method"], "base": about["base"]["name"]}
    if about["corpus"]:
        found["corpus"] = about["corpus"]["name"]
    for part in ("texts", "training", "measured"):
        if about.get(part):
            found[part] = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in about[part].items())
    if mapped := about.get("vocabulary_map"):
        mass = "" if mapped["mass"] is None else f", which hold {mapped['mass']:.1%} where one of them follows"
        found["vocabulary map"] = f"{mapped['blocks']} pairs of tokens{mass}"
    return found


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _print_estimate(model: str, wanted: MitigateOptions, as_json: bool) -> None:
    """The plan of a job with what it would take."""
    from fairbench import console
    from fairbench.mitigation.making import estimate

    found = estimate(model, wanted)
    if as_json:
        console.print_json({**found.what, "bytes": found.bytes, "seconds": found.seconds})
        return
    warnings = found.what.get("warnings", ())
    shown = {name: value for name, value in found.what.items() if name != "warnings" and value is not None}
    fields = {name.replace("_", " "): _shown(value) for name, value in shown.items()}
    console.print_fields(f"Plan of {wanted.output_path}", [*{**fields, **_costs(found)}.items()])
    for warning in warnings:
        console.out.print(f"! {warning}", style="yellow", markup=False)


def _costs(found: Estimate) -> dict[str, str]:
    memory = "unknown" if found.bytes is None else f"about {found.bytes / 2**20:,.0f} MiB"
    if found.seconds is None:
        return {"memory": memory, "time": "unknown"}
    minutes, hours = found.seconds / 60, found.seconds / 3600
    said = f"{hours:.1f} hours" if hours >= 2 else f"{minutes:.0f} minutes" if minutes >= 2 else f"{found.seconds:.0f} seconds"
    return {"memory": memory, "time": f"about {said} on this machine, from a step that was tried"}

"""A report in which everything that comes from outside means harm, and says so in its texts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fairbench.collection import Fault
from fairbench.comparison import NOT_SCORED, Flip, Flips, Refused, Ungated
from fairbench.reporting.contents import Example, Examples, Report
from tests.reporting import made

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror=window.hacked=1>",
    "\"' onmouseover=window.hacked=1 x='",
    "{{ 7 * 7 }}{% raw %}",
    "</title></style></td></table><svg onload=window.hacked=1>",
    "]]><!-- --!> &lt;b&gt; &amp;amp;",
    "a\u202egnp.exe\u202c \u2067\u05d0\u05d1\u2069 \u0000 \x07",
    "W" * 10_000,
    "http://attacker.example/x?<b>",
    "javascript:window.hacked=1",
)
"""What models, groups, texts and warnings may be called at worst."""


def hostile() -> Report:
    """A report in which everything that comes from outside is hostile."""
    bad = dict(enumerate(HOSTILE))
    rows = []
    for at, text in bad.items():
        named = {"model": text, "task": bad[(at + 1) % len(bad)], "metric": bad[(at + 2) % len(bad)], "variant": text[:200]}
        said = {"title": text, "direction": text, "p_method": text, "interval_method": text, "scorer": text}
        notes = {"warnings": [text], "left_out": [f"3 left out: {text}"], "records_sha256": text, "answers_sha256": text}
        same = {**named, **said, **notes, "file": f"{at}/{text}"}
        rows += [made.row(**same), made.row(**same, part="group", group=text)]
        rows.append(
            made.row(**{**same, "part": "group", "group": f"{text} too"}, undefined=text, value=None, low=None, high=None)
        )
    usual = made.report(rows)
    some = {
        one: Examples(one, bad[at % len(bad)], bad[0], (Example(bad[0], bad[1], {bad[2]: bad[at % len(bad)]}),), 9)
        for at, one in enumerate(dict.fromkeys(usual.table["file"]))
    }
    worst = made.difference(
        task=bad[0],
        metric=bad[1],
        said=bad[2],
        warnings=(bad[3], bad[7]),
        by_group={bad[4]: made.difference(verdict="no test", said=bad[5])},
        flips=hostile_flips(),
    )
    return dataclasses.replace(
        usual,
        title=bad[4],
        results={one: {**made.result(bad[0], **{bad[1]: bad[2]}), "judges": [{"name": bad[4]}]} for one in some},
        models={text: {"name": text, "architecture": text, bad[0]: text} for text in HOSTILE},
        metrics={text: made.card(threats=HOSTILE) for text in HOSTILE},
        tasks={text: made.task(notes=HOSTILE, content_warning=text) for text in HOSTILE},
        figures=(made.picture("one", bad[0]), made.picture("two", bad[2], "comparison")),
        examples=some,
        comparisons=made.comparisons(worst, refused=hostile_refusals(), ungated=(Ungated("b", bad[0], bad[7]),)),
        tradeoff=made.tradeoff(bad[0]),
        correlations=made.correlations(bad[0]),
        faults=tuple(Fault(Path("/nowhere/x"), text) for text in HOSTILE),
        notes=(*HOSTILE, "half a sign: \ud800"),  # a table of pandas can't hold it
        about={"program": bad[0], "version": bad[1], "date": bad[2], bad[4]: bad[7]},
    )


def hostile_flips() -> Flips:
    """Flips whose texts are hostile."""
    turned = tuple(Flip(text, text, text, text, text) for text in HOSTILE)
    return dataclasses.replace(made.flips(0, 0), negative=turned, positive=turned, right=HOSTILE[0])


def hostile_refusals() -> tuple[Refused, ...]:
    """Refusals of both sorts whose words are hostile."""
    some = dict(enumerate(HOSTILE))
    return Refused(some[0], some[1], some[2], some[7], some[4]), Refused(some[3], NOT_SCORED, some[0], some[1], some[7])

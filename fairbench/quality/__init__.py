"""Which pairs and clozes are not fit to show what they are meant to show, by rules that code can check.

RULES names them; docs/pair_quality.md gives the reason, an example and the counts of each. They read a record's sentences, group
and direction, never a model's answer. They catch form, not meaning: no rule knows whether a sentence holds a stereotype.
Background: Blodgett et al. 2021 (ACL, 2021.acl-long.81); Neveol et al. 2022 (ACL, 2022.acl-long.583).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fairbench.quality.edits import Changes, Words, changes, count, difference, is_word, negations, tokens, wrong_articles
from fairbench.quality.words import ADVANTAGED, DISADVANTAGED, NEITHER, Term, kinds_of, term, terms

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
"""Raised when a rule changes, so that what was measured under the old ones is measured again."""

RULES = {
    "article_mismatch": "a and an fit the next word on one side only",
    "casing_mismatch": "capitals differ in a word that stays or in the first one, or a group's name lacks its capital",
    "context_changed": "a filled sentence is not its context with BLANK replaced",
    "duplicate": "the same sentences stand in another record",
    "missing_sentence": "a sentence is not there, so that no rule could look at it",
    "mixed_kinds": "the sides name groups of different kinds, or of another kind than the record's group",
    "negation_mismatch": "one side is negated more often than the other",
    "no_change": "two sides have the same words",
    "not_minimal": "more is changed than one thing and what agrees with it",
    "punctuation_mismatch": "punctuation, apostrophes or stray white space differ",
    "several_blanks": "BLANK stands more than once",
    "unequal_edits": "one side has more words; of two continuations, more than twice as many",
    "wrong_direction": "the label says which side is about the disadvantaged group, and the words say the other one is",
}
"""Every rule, and what it flags."""

BLANK = "BLANK"
COLUMNS = {"Pair": ("more", "less"), "Cloze": ("context", "stereotype", "antistereotype", "unrelated")}
DIRECTION = "meta.direction"
LONGER = 2
SENTENCE_ENDS = (".", "!", "?", '"', "”")


def flags(table: pd.DataFrame, form: str) -> list[tuple[str, ...]] | None:
    """The rules that flag each row, by name; null where the form has no rules or the table does not hold the sentences.

    Args:
        table: answers or records of one form, a row a record.
        form: name of the record form.

    Returns:
        For each row the names of the rules, sorted; none for a row that is fit. The order of rows does not matter: of repeated
        records the one with the smallest id is kept.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"more": ["He mills.", "He mills."], "less": ["She mills.", "She does not mill"]})
        >>> flags(rows, "Pair")
        [(), ('negation_mismatch', 'not_minimal', 'punctuation_mismatch', 'unequal_edits')]
    """
    columns = COLUMNS.get(form, ())
    if not columns or not len(table) or any(c not in table.columns for c in columns):
        return None
    there = [all(isinstance(text, str) for text in row) for row in zip(*(table[c].tolist() for c in columns), strict=True)]
    if not any(there):
        return None
    if not all(there):
        found_there = iter(flags(table[there], form) or ())
        return [next(found_there) if whole else ("missing_sentence",) for whole in there]
    texts = [table[c].tolist() for c in columns]
    if form == "Pair":
        found = [set(_pair(*row)) for row in zip(*texts, _column(table, "group"), _column(table, DIRECTION), strict=True)]
    else:
        found = [set(_cloze(*row)) for row in zip(*texts, strict=True)]
    for row in _repeated(list(zip(*texts[:3], strict=True)), _column(table, "id")):
        found[row].add("duplicate")
    return [tuple(sorted(names)) for names in found]


def _column(table: pd.DataFrame, name: str) -> list[Any]:
    """A column's entries; null where there is none."""
    return table[name].tolist() if name in table.columns else [None] * len(table)


def _repeated(texts: Sequence[Sequence[str]], ids: Sequence[Any]) -> list[int]:
    """Rows whose texts another record has too, but for the smallest id; rows of one id are one record."""
    keys = [tuple(" ".join(text.lower().split()) for text in row) for row in texts]
    names = [("", n) if i is None or i != i else (str(i), 0) for n, i in enumerate(ids)]
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    for key, name in zip(keys, names, strict=True):
        first[key] = min(first.get(key, name), name)
    return [n for n, (key, name) in enumerate(zip(keys, names, strict=True)) if first[key] != name]


def _pair(more: str, less: str, group: Any, direction: Any) -> Iterator[str]:
    """The rules that flag a pair."""
    found = difference(more, less)
    changed = changes(found.edits)
    wanted = kinds_of(str(group))
    if not changed:
        yield "no_change"
    if found.marks:
        yield "punctuation_mismatch"
    if found.counts[0] != found.counts[1]:
        yield "unequal_edits"
    if found.case or _capital(more) != _capital(less) or _lacks_capital(more, less, found.edits):
        yield "casing_mismatch"
    if not changed.swap and (_two_changes(changed) or (changed.others and _mostly_new(found.edits, found.counts))):
        yield "not_minimal"
    if _mixed(changed, wanted):
        yield "mixed_kinds"
    if negations(w for edit in found.edits for w in edit[0]) != negations(w for edit in found.edits for w in edit[1]):
        yield "negation_mismatch"
    if wrong_articles(more) != wrong_articles(less):
        yield "article_mismatch"
    if wanted and _contradicts(changed, wanted[0], direction):
        yield "wrong_direction"


def _cloze(context: str, stereotype: str, antistereotype: str, unrelated: str) -> Iterator[str]:
    """The rules that flag a cloze."""
    if BLANK not in context:
        yield from _continued(stereotype, antistereotype)
    elif context.count(BLANK) > 1:
        yield "several_blanks"
    else:
        yield from _filled(context, (stereotype, antistereotype, unrelated))


def _filled(context: str, sides: tuple[str, str, str]) -> Iterator[str]:
    """The rules that flag a context with one BLANK; `sides` = stereotype, antistereotype, unrelated."""
    before, after = " ".join(context.split()).split(BLANK)
    texts = [" ".join(side.split()) for side in sides]
    if not all(_surrounds(before, after, text) for text in texts):
        yield "context_changed"
        return
    fills = [text[len(before) : len(text) - len(after)] for text in texts]
    if len({fill.lower() for fill in fills}) < len(fills):
        yield "no_change"
    stereotype, antistereotype = (tuple(filter(is_word, tokens(fill))) for fill in fills[:2])
    recased = any(text[1 : len(before)] != before[1:] or text[len(text) - len(after) :] != after for text in texts)
    if recased or _lacks_capital(texts[0], texts[1], [(stereotype, antistereotype)]):
        yield "casing_mismatch"
    if count(fills[0]) != count(fills[1]):
        yield "unequal_edits"
    if _one_identity(stereotype, antistereotype):
        yield "mixed_kinds"
    if negations(stereotype) != negations(antistereotype):
        yield "negation_mismatch"
    if wrong_articles(texts[0]) != wrong_articles(texts[1]):
        yield "article_mismatch"


def _continued(stereotype: str, antistereotype: str) -> Iterator[str]:
    """The rules that flag two continuations. They are free text: only whom they speak of, length, first letter and end count."""
    first, second = ([t.lower() for t in tokens(text) if is_word(t)] for text in (stereotype, antistereotype))
    if first == second:
        yield "no_change"
    counts = count(stereotype), count(antistereotype)
    if max(counts) > LONGER * min(counts):
        yield "unequal_edits"
    if _capital(stereotype) != _capital(antistereotype):
        yield "casing_mismatch"
    if stereotype.rstrip().endswith(SENTENCE_ENDS) != antistereotype.rstrip().endswith(SENTENCE_ENDS):
        yield "punctuation_mismatch"
    if wrong_articles(stereotype) != wrong_articles(antistereotype):
        yield "article_mismatch"
    genders = [{t.standing for t in map(term, words) if t and t.kind == "gender"} - {NEITHER} for words in (first, second)]
    if all(len(g) == 1 for g in genders) and genders[0] != genders[1]:
        changed = changes(difference(stereotype, antistereotype).edits)
        if changed.names or changed.others:  # he and she, and what is said of them
            yield "not_minimal"


def _surrounds(before: str, after: str, text: str) -> bool:
    low = text.lower()
    return low.startswith(before.lower()) and low.endswith(after.lower()) and len(text) > len(before) + len(after)


def _two_changes(changed: Changes) -> bool:
    """Two changes that are no repeats of each other and do not go with each other (a name and its pronouns do)."""
    if len(changed.others) > 1 or (changed.others and (changed.known or changed.names)):
        return True
    return len({kind for sides in changed.known for kind in _moved(*sides)}) > 1


def _moved(first: Sequence[Term], second: Sequence[Term]) -> set[str]:
    """The kinds of group that are another on either side; man and guy are the same."""
    shared = {t.kind for t in first} & {t.kind for t in second}
    standings = {kind: [{t.standing for t in side if t.kind == kind} for side in (first, second)] for kind in shared}
    return {kind for kind in shared if kind != "gender" or standings[kind][0] != standings[kind][1]}


def _mostly_new(edits: Sequence[tuple[Words, Words]], counts: tuple[int, int]) -> bool:
    """Whether more words are exchanged than stay, so that the two are hardly the same sentence."""
    changed = max(count(" ".join(w for edit in edits for w in edit[side])) for side in (0, 1))
    return changed > max(counts) - changed


def _mixed(changed: Changes, wanted: Sequence[str]) -> bool:
    """Whether the sides of one place name different kinds of group, or every place another kind than the wanted ones.

    A word of gender goes with every kind (a rich man), and beside a name it only agrees with it: these two prove nothing.
    """
    kinds = [({t.kind for t in first}, {t.kind for t in second}) for first, second in changed.known]
    if any(not first & second and "gender" not in first | second for first, second in kinds):
        return True
    return bool(wanted and kinds and not changed.names) and not any((first | second) & set(wanted) for first, second in kinds)


def _one_identity(first: Words, second: Words) -> bool:
    """Whether one filling says who a person is (a man, a Muslim) and the other what the person is like, or another kind."""
    found = [[t for t in terms(words) if t] for words in (first, second)]
    kinds = [{t.kind for t in side} for side in found]
    if kinds[0] | kinds[1] == {"gender", "age"}:  # man, kid: a word of gender tells age too
        return False
    return any(t.identity for side in found for t in side) and not kinds[0] & kinds[1]


def _contradicts(changed: Changes, kind: str, direction: Any) -> bool:
    """Whether the side that the label calls disadvantaged names an advantaged group only, and the other the reverse.

    By CrowS-Pairs' card `more` is about the disadvantaged group in a stereo row, `less` in an antistereo row.
    """
    sides = [{t.standing for groups in changed.known for t in groups[side] if t.kind == kind} for side in (0, 1)]
    wrong = {"stereo": ADVANTAGED, "antistereo": DISADVANTAGED}.get(str(direction))
    return wrong is not None and sides == [{wrong}, {-wrong}]


def _lacks_capital(more: str, less: str, edits: Sequence[tuple[Words, Words]]) -> bool:
    """Whether a group's name lacks its capital (a muslim), or of two common words one has it (Black, white).

    Two sentences without any capital are a style, and no mismatch.
    """
    if more.islower() and less.islower():
        return False
    for edit in edits:
        found = [list(zip(words, terms(words), strict=True)) for words in edit]
        if any(t and t.proper and word[0].islower() for side in found for word, t in side):
            return True
        common = all(len(side) == 1 and side[0][1] and not side[0][1].proper for side in found)
        if common and edit[0][0][0].isupper() != edit[1][0][0].isupper():
            return True
    return False


def _capital(text: str) -> bool | None:
    """Whether the first letter is a capital; null where the text begins with a number or has no letter."""
    first = next((c for c in text if c.isalnum()), "")
    return first.isupper() if first.isalpha() else None

"""SEAT (May et al. 2019): WEAT's words in bleached sentences, and the double-bind and angry-black-woman tests beside them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairbench.errors import FairbenchError
from fairbench.records import Association, Record
from fairbench.scores import Source, TaskInfo

# File without its ending -> the categories of its two target and two attribute sets, as the file names them.
CATEGORIES = {
    "sent-weat1": "Flowers Insects Pleasant Unpleasant",
    "sent-weat2": "Instruments Weapons Pleasant Unpleasant",
    "sent-weat3": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "sent-weat3b": "EuropeanAmericanTerms AfricanAmericanTerms Pleasant Unpleasant",
    "sent-weat4": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "sent-weat5": "EuropeanAmericanNames AfricanAmericanNames Pleasant Unpleasant",
    "sent-weat5b": "EuropeanAmericanTerms AfricanAmericanTerms Pleasant Unpleasant",
    "sent-weat6": "MaleNames FemaleNames Career Family",
    "sent-weat6b": "MaleTerms FemaleTerms Career Family",
    "sent-weat7": "Math Arts MaleTerms FemaleTerms",
    "sent-weat7b": "Math Arts MaleNames FemaleNames",
    "sent-weat8": "Science Arts MaleTerms FemaleTerms",
    "sent-weat8b": "Science Arts MaleNames FemaleNames",
    "sent-weat9": "MentalDisease PhysicalDisease Temporary Permanent",
    "sent-weat10": "YoungPeoplesNames OldPeoplesNames Pleasant Unpleasant",
    "sent-angry_black_woman_stereotype": "WhiteFemaleNames BlackFemaleNames NearAntonyms AngryBlackWomanStereotype",
    "sent-angry_black_woman_stereotype_b": "WhiteFemaleTerms BlackFemaleTerms NearAntonyms AngryBlackWomanStereotype",
    "sent-heilman_double_bind_competent_one_word": "Male Female CompetentAchievementOriented IncompetentNotAchievementOriented",
    "heilman_double_bind_competent_one_sentence": "Male Female CompetentAchievementOriented IncompetentNotAchievementOriented",
    "heilman_double_bind_competent_1": "Male Female CompetentAchievementOriented IncompetentNotAchievementOriented",
    "heilman_double_bind_competent_1-": "Male Female CompetentAchievementOriented IncompetentNotAchievementOriented",
    "heilman_double_bind_competent_1+3-": "Male Female CompetentAchievementOriented IncompetentNotAchievementOriented",
    "sent-heilman_double_bind_likable_one_word": "Male Female LikableNotHostile UnlikableHostile",
    "heilman_double_bind_likable_one_sentence": "Male Female LikableNotHostile UnlikableHostile",
    "heilman_double_bind_likable_1": "Male Female LikableNotHostile UnlikableHostile",
    "heilman_double_bind_likable_1-": "Male Female LikableNotHostile UnlikableHostile",
    "heilman_double_bind_likable_1+3-": "Male Female LikableNotHostile UnlikableHostile",
    "sent-religion1": "ChristianityTerms IslamTerms Good Bad",
    "sent-religion1b": "ChristianityTerms JewishTerms Good Bad",
    "sent-religion2": "ChristianityTerms IslamTerms Pleasant Unpleasant",
    "sent-religion2b": "ChristianityTerms JewishTerms Pleasant Unpleasant",
}

SHA256 = {
    "sent-weat1": "ff493f29fa0e0984b67e1502b0c04688473e189fd6d107c91054507ed73ff77a",
    "sent-weat2": "58378442b8894e6987250a4ca52fc36495429c85695e9dcf952e9c4c31626609",
    "sent-weat3": "1e1b9f89f518ad5bba47cbe5bd1d08d679b296b3eb640ee0b060f080c5d7ffef",
    "sent-weat3b": "8db3f84b109031a8b86392fbd4544ca1b29f361d98b30b1e83a82b1ca60ee351",
    "sent-weat4": "5eb5a2bc5b36d8c0567b1992aea7adb015f3e170e4d24a220c2dca763f59a418",
    "sent-weat5": "2478d808135759371ee43754fa8efd89a928e434ad2981df61726b7328c5fb47",
    "sent-weat5b": "c0af61519bee074d0c3218bf8e5537b10fae5d795230422cd7bff92f90cafc26",
    "sent-weat6": "bcf1a6864e3da0e8982d70451721877f23e2efaf6aea33628df843d826b68ae2",
    "sent-weat6b": "8d1dd09833d1854784503c2eb9986d1951d684fb3289a18da85e72fa1e59e4ff",
    "sent-weat7": "86c151b640bc9ebf6f60cd94920ab1f5bff68ea1a993f322f729cf3620173e0f",
    "sent-weat7b": "16b7c23eb529421b411b508b2928b0d62e52cbb80cf40f8e9acbdfb52cd75350",
    "sent-weat8": "352fea8d5440800a219dd6141a6f5e414a708770bc2717bfc581bc249e108ded",
    "sent-weat8b": "c410535cac813f806d20a7f76f4bea62ee44f98d8828f8f0ac6a4b7694c414bc",
    "sent-weat9": "dd1b60d64dedde7ce532915a6a39cd8ec7d036e90896a6a854bfcd6315866c6c",
    "sent-weat10": "04dd864639909052e2ee1f386cfc0a99b5d5311c7c3ab0411396a6f5ddf0aeae",
    "sent-angry_black_woman_stereotype": "d421fb37fbac73184d60a73b95b5585cfc9bf0683b8100a57cd87d6d1c149588",
    "sent-angry_black_woman_stereotype_b": "95b0bf8cde740bcd5241af89a217687dcf0a13bb48db8a628a49872df9bb1505",
    "sent-heilman_double_bind_competent_one_word": "cc99565db26eaea3b09fe73b93109a6c3c11decb7b320f73942abdd7f60fa5d4",
    "heilman_double_bind_competent_one_sentence": "472b008cdeaebc97287e25dda29cee80fbcfdf976bbdcc267a9789c39580b2bf",
    "heilman_double_bind_competent_1": "83260f3683107446d18f20d1653a63cf53e30660fb800b4419719c0548d81c5e",
    "heilman_double_bind_competent_1-": "08d78185021e1dc899ca349759906d42a74d245de62a624ca7cf24853c85f936",
    "heilman_double_bind_competent_1+3-": "21924ce01aaee12162d8833e4f1dc5c3c332ebbbc720e7736ef554851cf1e4d2",
    "sent-heilman_double_bind_likable_one_word": "f3bb2f8e41caec232262ca3eec86ad4d773e1cb6fa5d0e33c7a863dccd40db7a",
    "heilman_double_bind_likable_one_sentence": "76a61eade11c46470d40746a45fff48235339aebe6302a00e7edeb95c6498a06",
    "heilman_double_bind_likable_1": "ebfc4ce95c6687a96d8cecdd453c51b252803b1cd94c98efccb4860a5612f139",
    "heilman_double_bind_likable_1-": "aa3c3b26c8059b7f6318b37f1d1133161dc0b28531f9f2e797acbf46c1c219ca",
    "heilman_double_bind_likable_1+3-": "7bae0867001c671175d1582e1607fa16fbf3268a4862d68ee05b8b0a046c5663",
    "sent-religion1": "39eceaa76103c32772bf6d13e78686a10272754e821c3197d07cf2bd4cee34e2",
    "sent-religion1b": "baddaead03ed69f50bb29ac3130108ca753fb6933ed0de435d3146403b51fbf5",
    "sent-religion2": "692ca32dc36305d34792aea17b9b1e3d520fe0f3c686f59d34159c9cfb3cdb2a",
    "sent-religion2b": "b7012c637402e85f00da240daf040b92888df4923c31a06e64998abf3a043521",
}

SETS = {"targ1": "target_x", "targ2": "target_y", "attr1": "attribute_a", "attr2": "attribute_b"}

# One word's sentences are not exchangeable, so the word has to be found again in each of them. The first pattern that matches the
# whole sentence wins; `plural` says that the group may hold the word's plural ("They are" also takes adjectives).
TEMPLATES = tuple(
    (re.compile(pattern), plural)
    for pattern, plural in (
        (r"The person's name is (.+)\.", False),
        (r"(?:Here|There) (he|she) is\.", False),
        (r"(?:This|That|There|Here|It) is (?:an? |the )?(.+)\.", False),
        (r"(?:These|Those|They) are (?:the )?(.+)\.", True),
        (r"(?:This|That) (?:will|did|can|may) (.+)\.", False),
        (r"(?:The )?(.+) is (?:here|there)\.", False),
        (r"(?:The )?(.+) are (?:here|there)\.", True),
        (r"(?:An? )?(.+) is a (?:person|thing)\.", False),
        (r"(.+) are (?:people|things)\.", True),
    )
)
# The double-bind vignettes: a target opens with its name ("X is an engineer ..."), an attribute ends with its adjective.
NAMED = re.compile(r"(\w+) .+", re.DOTALL)
DESCRIBED = re.compile(r"The .+ is ([\w-]+)\.")
PLURALS = (("women", "woman"), ("men", "man"), ("children", "child"), ("people", "person"))

VIGNETTES = tuple(f"seat_{name}" for name in CATEGORIES if name.startswith("heilman"))
WARNING = "Some of the tests spell out stereotypes: of Black women, of religions, of women who succeed at work."
NOTES = {
    "sent-weat2": ("The published file lacks some templates of some words.",),
    "sent-weat9": ("The published file has no sentence for the word 'sick' of WEAT 9: 6 target words against 5.",),
}


def task_name(file: str) -> str:
    """The name of the task that is made of a file: what is left without `sent-weat` or `sent-`."""
    return "seat_" + file.removeprefix("sent-").removeprefix("weat")


def _card(file: str) -> TaskInfo:
    """The card of one test."""
    x, y, a, b = groups = tuple(CATEGORIES[file].split())
    religion = "religion" in file
    copies = [(f"bias-bench/data/seat/{file}.jsonl", "https://github.com/McGill-NLP/bias-bench (data/seat/)")]
    if not religion:  # bias-bench repeats the files of sent-bias byte for byte and adds the tests of religion
        copies.insert(0, (f"seat_sent-bias/tests/{file}.jsonl", "https://github.com/W4ngatang/sent-bias (tests/)"))
    return TaskInfo(
        title=f"SEAT {task_name(file).removeprefix('seat_')}: {x} and {y} by {a} and {b}",
        form="Association",
        sources=tuple(Source(format="document", columns=("text",), files={path: SHA256[file]}, url=url) for path, url in copies),
        licence="none stated (bias-bench)" if religion else "CC BY-NC 4.0 (sent-bias)",
        cite="Meade et al. 2022, ACL, 2022.acl-long.132" if religion else "May et al. 2019, NAACL, N19-1063",
        language="en",
        groups=groups,
        metrics=("seat",),
        cluster="word, with all of its sentences in singular and plural",
        content_warning=WARNING,
        notes=NOTES.get(file, ()),
    )


INFO = {task_name(file): _card(file) for file in CATEGORIES}


def records(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[Record]:
    """Turns the one JSON object of a test's file into a record a sentence.

    Args:
        rows: one row, `text` = the file.
        task: the test's name, "seat_6".
    """
    for row in rows:
        sets = _parsed(row["text"], task)
        for key, role in SETS.items():
            sentences = sets[key]["examples"]
            seen: Counter[str] = Counter()
            for sentence, word in zip(sentences, words(sentences, role, task), strict=True):
                seen[word] += 1
                yield Association(
                    id=f"{role}/{word}/{seen[word]}",
                    group=sets[key]["category"],
                    cluster=word,
                    stratum=role,
                    test=task,
                    role=role,
                    text=sentence,
                )


def words(sentences: list[str], role: str, task: str) -> list[str]:
    """The word that each sentence of one set is about; singular and plural get one name.

    Raises:
        FairbenchError: a sentence fits no template, so that its word is unknown.
    """
    if task in VIGNETTES:
        pattern = NAMED if role.startswith("target") else DESCRIBED
        found = [(pattern.fullmatch(sentence), False) for sentence in sentences]
    else:
        found = [_first_match(sentence) for sentence in sentences]
    forms: list[tuple[str, bool]] = []
    singular: dict[str, str] = {}
    for n, (match, plural) in enumerate(found, 1):
        if match is None:
            raise FairbenchError(
                f"Sentence {n} of {role} in {task} fits none of SEAT's templates, so the word that it is about is not known: "
                f"{sentences[n - 1][:80]!r}. The test moves all sentences of a word together and needs that word; a file with "
                "other templates is a task of its own (start from tasks/seat.py and add its templates)."
            )
        forms.append((match[1], plural))
        if not plural:
            singular.setdefault(match[1].lower(), match[1])
    return [_name(form.lower(), plural, singular) for form, plural in forms]


def _first_match(sentence: str) -> tuple[re.Match[str] | None, bool]:
    """The first template that the sentence fits, and whether its word may be a plural there."""
    return next(((match, plural) for pattern, plural in TEMPLATES if (match := pattern.fullmatch(sentence))), (None, False))


def _name(form: str, plural: bool, singular: Mapping[str, str]) -> str:
    """The name of a form: the singular in the same set that it is the plural of, else the form itself."""
    candidates = [form]
    if plural:
        # Only looked up among the set's own words, so a wrong guess ("lens" without s) does no harm.
        endings = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"))
        candidates += [form.removesuffix(ending) + new for ending, new in endings if form.endswith(ending)]
        candidates += [re.sub(rf"\b{many}\b", one, form) for many, one in PLURALS]
    return next((singular[word] for word in candidates if word in singular), form)


def _parsed(text: str, task: str) -> dict[str, Any]:
    """The file's JSON object, checked for its four sets."""
    try:
        sets = json.loads(text)
    except json.JSONDecodeError as error:
        raise FairbenchError(
            f"The file of {task} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}. Wanted is one "
            "object with targ1, targ2, attr1 and attr2; download the file again."
        ) from None
    for key in SETS:
        part = sets.get(key) if isinstance(sets, dict) else None
        if not isinstance(part, dict) or not isinstance(part.get("category"), str) or not part.get("examples"):
            raise FairbenchError(
                f"The file of {task} lacks {key}, or its category or examples. Wanted is one JSON object with targ1, targ2, "
                "attr1 and attr2, each with a category and its examples; download the file again."
            )
    return dict(sets)

from __future__ import annotations

from fairbench.tasks import wikitext

from fairbench import data
from fairbench.records import Passage

LINES = [
    "",
    " = Otters =",
    "",
    " Otters swim .",
    " = 1 m / s , so that k =",
    " 2 .",
    "",
    " = = Food = =",
    "",
    " Fish .",
    "",
    " = Mills =",
    "",
    " ",
]


def test_articles_begin_at_level_one_headings_between_blank_lines():
    records = list(wikitext.records(({"text": line} for line in LINES), "wikitext"))
    assert [record.meta["title"] for record in records] == ["Otters", "Mills"]
    assert records[0] == Passage(
        id="document_000",
        cluster="document_000",
        text="= Otters =\n\n Otters swim .\n = 1 m / s , so that k =\n 2 .\n\n = = Food = =\n\n Fish .",
        meta={"title": "Otters"},
    )
    assert records[1].text == "= Mills ="


def test_the_hub_and_the_file_give_the_same_text():
    hub = [line + " \n" if line.strip() else "" for line in LINES]
    assert list(wikitext.records(({"text": line} for line in hub), "wikitext")) == list(
        wikitext.records(({"text": line} for line in LINES), "wikitext")
    )


def test_text_without_a_heading_is_one_document_and_nothing_is_none():
    (record,) = wikitext.records([{"text": "a"}, {"text": "b"}], "wikitext")
    assert record.text == "a\nb"
    assert list(wikitext.records([{"text": ""}], "wikitext")) == []


def test_sixty_articles(real):
    records = list(wikitext.records(data.rows(wikitext.INFO, "wikitext", real), "wikitext"))
    assert len(records) == 60
    assert records[1].meta["title"] == "Du Fu"
    assert sum(len(record.text.split()) for record in records) == 241211


def test_the_published_file_gives_the_same_text(tmp_path, real):
    # The copy at hand lacks the space at every line's end and the last blank line; put back, they make the published file.
    lines = (real / "corpora/wikitext-2_valid_test/test.txt").read_bytes().split(b"\n")[:-1]
    (tmp_path / "wikitext-2").mkdir()
    (tmp_path / "wikitext-2/wiki.test.tokens").write_bytes(b"".join(line + b" \n" for line in [*lines, b""]))
    published = data.rows(wikitext.INFO, "wikitext", tmp_path)
    copy = data.rows(wikitext.INFO, "wikitext", real)
    assert list(wikitext.records(published, "wikitext")) == list(wikitext.records(copy, "wikitext"))

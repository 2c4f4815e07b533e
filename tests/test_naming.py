"""Names of result files: what is not the default stands in them, and different corpora never share one."""

from __future__ import annotations

from fairbench.measurement import MeasureOptions
from fairbench.naming import moved_options, result_name, slug
from fairbench.plan import ScoreOptions
from fairbench.registry import Registry

CEAT, WEAT = (Registry().task(name).info for name in ("ceat_c6", "weat_6"))


def test_a_default_has_the_bare_name():
    assert moved_options(ScoreOptions(), WEAT) == {}
    assert result_name("weat", {}) == "weat.json"


def test_what_was_moved_is_in_the_name():
    options = ScoreOptions(limit=0.5, measure=MeasureOptions(level=0.9))
    assert result_name("weat", moved_options(options, WEAT)) == "weat@level=0.9,limit=0.5.json"


def test_files_of_one_name_in_two_folders_are_two_corpora(tmp_path):
    names = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "valid.txt").write_text("text")
        options = ScoreOptions(corpus=str(tmp_path / folder / "valid.txt"), contexts=20)
        names.append(result_name("ceat", moved_options(options, CEAT)))
    assert names == [f"ceat@contexts=20,corpus={folder}-valid.txt.json" for folder in ("first", "second")]
    assert moved_options(ScoreOptions(corpus=str(tmp_path)), WEAT) == {}


def test_a_name_of_the_hub_or_of_a_task_stays_whole():
    assert slug("gap") == "gap"
    assert slug("owner/name@abc:config:train") == "owner-name-abc-config-train"

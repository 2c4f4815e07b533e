"""Replies on disk: whole lines survive, torn ones go."""

import json
import threading

import pytest

from fairbench.models.replies import Replies, request_key


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "replies.jsonl"


def opened(path):
    found = Replies()
    found.open(path)
    return found


def test_kept_and_found_again(path):
    replies = opened(path)
    replies.keep("a", {"text": "line\nbreak \u2028 é 😀"})
    assert opened(path).get("a") == {"text": "line\nbreak \u2028 é 😀"} and opened(path).get("b") is None


def test_on_disk_before_the_next_is_asked(path):
    replies = opened(path)
    for n in range(3):
        replies.keep(str(n), {"n": n})
        assert len(path.read_bytes().splitlines()) == n + 1


def test_a_torn_last_line_is_dropped_at_every_byte(path):
    replies = opened(path)
    replies.keep("a", {"text": "one"})
    whole = path.read_bytes()
    replies.keep("b", {"text": "two é"})
    both = path.read_bytes()
    for size in range(len(whole), len(both)):
        path.write_bytes(both[:size])
        again = opened(path)
        assert again.get("a") == {"text": "one"} and again.get("b") is None
        assert path.read_bytes() == whole, "the next line must begin on a line of its own"
        again.keep("c", {"text": "three"})
        assert len(opened(path)) == 2


def test_a_line_that_is_none_is_dropped(path):
    replies = opened(path)
    replies.keep("a", {"text": "one"})
    with path.open("ab") as file:
        file.write(b'\x00\x00\n[]\n{"request": "x"}\n{"request": "y", "reply": 3}\nnull\n\n')
    opened(path).keep("b", {"text": "two"})
    assert len(opened(path)) == 2


def test_forgotten(path):
    replies = opened(path)
    replies.keep("a", {})
    replies.forget()
    assert not path.exists() and replies.get("a") is None and len(replies) == 0
    replies.keep("b", {})
    assert not path.exists() and replies.get("b") == {}
    replies.forget()


def test_another_file_holds_other_replies(path):
    replies = opened(path)
    replies.keep("a", {})
    replies.open(path.with_name("other"))
    assert replies.get("a") is None
    replies.open(path)
    assert replies.get("a") == {}


def test_the_same_file_is_not_read_again(path):
    replies = opened(path)
    replies.keep("a", {})
    path.write_bytes(b"")
    replies.open(path)
    assert replies.get("a") == {}


def test_many_at_once_never_mix_their_lines(path):
    replies = opened(path)

    def keep(n):
        for i in range(20):
            replies.keep(f"{n}-{i}", {"text": "x" * 20_000})

    jobs = [threading.Thread(target=keep, args=(n,)) for n in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(opened(path)) == 80 and all(json.loads(line) for line in path.read_text().splitlines())


def test_a_request_is_named_by_all_that_is_sent():
    body = {"prompt": "p", "seed": 1}
    keys = [
        request_key("http://a/v1", "completions", body), request_key("http://b/v1", "completions", body),
        request_key("http://a/v1", "chat", body), request_key("http://a/v1", "completions", {**body, "seed": 2}),
    ]  # fmt: skip
    assert len(set(keys)) == 4 and keys[0] == request_key("http://a/v1", "completions", dict(reversed(body.items())))

"""From a classifier's labels to a task's classes: by name, by number, by what is positive, or not at all."""

from __future__ import annotations

import json
import math

import pytest
import torch

from fairbench.errors import FairbenchError
from fairbench.training.head import Head, map_labels

LOGITS = torch.tensor([[1.0, 2.0, 0.5], [-3.0, 0.0, 4.0]], dtype=torch.float64)
TOXIC = ("non-toxic", "toxic")
POSTS = ("hatespeech", "normal", "offensive")


def test_equal_names_in_another_order_and_case():
    head = map_labels("mine", ("Normal", "Offensive", "HateSpeech"), POSTS)
    wanted = torch.softmax(LOGITS, -1)[:, [2, 0, 1]]
    torch.testing.assert_close(head.probs(LOGITS), wanted)
    assert head.how == "labels of equal names"


@pytest.mark.parametrize("own", [("LABEL_0", "LABEL_1", "LABEL_2"), ("0", "1", "2"), ("label_0", "label_1", "label_2")])
def test_labels_that_only_say_their_number(own):
    head = map_labels("mine", own, POSTS)
    torch.testing.assert_close(head.probs(LOGITS), torch.softmax(LOGITS, -1))
    assert head.how == "labels by number"


def test_positive_classes_of_the_training_task_are_added_up():
    head = map_labels("mine", POSTS, TOXIC, own_positive=("hatespeech", "offensive"))
    p = torch.softmax(LOGITS, -1)
    torch.testing.assert_close(head.probs(LOGITS), torch.stack([p[:, 1], p[:, 0] + p[:, 2]], -1))
    assert head.how == "toxic = hatespeech + offensive, non-toxic = the rest"


def test_names_that_the_task_calls_positive_are_found_among_others():
    head = map_labels("mine", ("fine", "Toxic", "spam"), TOXIC)
    torch.testing.assert_close(head.probs(LOGITS)[:, 1], torch.softmax(LOGITS, -1)[:, 1])


def test_the_user_says_what_is_positive():
    head = map_labels("mine", ("NEGATIVE", "POSITIVE"), TOXIC, chosen=("negative",))
    torch.testing.assert_close(head.probs(LOGITS[:, :2]), torch.softmax(LOGITS[:, :2], -1)[:, [1, 0]])


def test_the_user_is_heard_before_names_and_numbers():
    head = map_labels("mine", TOXIC, TOXIC, chosen=("non-toxic",))
    torch.testing.assert_close(head.probs(LOGITS[:, :2]), torch.softmax(LOGITS[:, :2], -1)[:, [1, 0]])


def test_the_positive_class_may_be_the_first():
    head = map_labels("mine", POSTS, ("toxic", "fine"), own_positive=("hatespeech", "offensive"), positive=("toxic",))
    p = torch.softmax(LOGITS, -1)
    torch.testing.assert_close(head.probs(LOGITS), torch.stack([p[:, 0] + p[:, 2], p[:, 1]], -1))


def test_a_task_without_names_takes_the_classifiers_own():
    head = map_labels("mine", POSTS, ())
    assert head.labels == POSTS
    torch.testing.assert_close(head.probs(LOGITS), torch.softmax(LOGITS, -1))


@pytest.mark.parametrize("first", [False, True])
def test_sigmoids_of_a_multi_label_classifier(first):
    asked = TOXIC[::-1] if first else TOXIC
    head = map_labels("mine", ("toxic", "insult", "threat"), asked, positive=("toxic",), multi_label=True)
    p = torch.sigmoid(LOGITS[:, 0])
    wanted = torch.stack([p, 1 - p] if first else [1 - p, p], -1)
    torch.testing.assert_close(head.probs(LOGITS), wanted)


def test_the_likeliest_of_several_sigmoids_speaks_for_all():
    head = map_labels("mine", ("toxic", "insult", "threat"), TOXIC, chosen=("insult", "threat"), multi_label=True)
    torch.testing.assert_close(head.probs(LOGITS)[:, 1], torch.sigmoid(torch.tensor([2.0, 4.0], dtype=torch.float64)))


def test_one_sigmoid_is_enough():
    head = map_labels("mine", ("toxic",), TOXIC, multi_label=True)
    found = head.probs(torch.tensor([[0.0], [2.0]], dtype=torch.float64))
    torch.testing.assert_close(found[:, 1], torch.tensor([0.5, 1 / (1 + math.exp(-2))], dtype=torch.float64))


@pytest.mark.parametrize(
    ("own", "asked", "kinds"),
    [
        (("NEGATIVE", "POSITIVE"), TOXIC, {}),
        (POSTS, ("a", "b", "c"), {}),
        (("LABEL_0", "LABEL_1", "LABEL_2"), TOXIC, {}),
        (TOXIC, POSTS, {}),
        (("toxic", "insult"), POSTS, {"multi_label": True}),
        (("insult", "threat"), TOXIC, {"multi_label": True}),
        (POSTS, TOXIC, {"own_positive": POSTS}),
        (POSTS, (), {"multi_label": True}),
    ],
)
def test_labels_without_a_way_between_them_are_refused_by_name(own, asked, kinds):
    with pytest.raises(FairbenchError) as refused:
        map_labels("mine", own, asked, **kinds)
    assert ", ".join(own) in str(refused.value) and ", ".join(asked) in str(refused.value)


def test_a_label_that_is_not_there_can_not_be_positive():
    with pytest.raises(FairbenchError, match=r"has no label 'bad'\. It has good, rotten"):
        map_labels("mine", ("good", "rotten"), TOXIC, chosen=("bad",))


def test_probabilities_sum_to_one_and_can_be_differentiated():
    for head in (
        map_labels("mine", POSTS, TOXIC, own_positive=("hatespeech",)),
        map_labels("mine", POSTS, TOXIC, chosen=("normal", "offensive"), multi_label=True),
        map_labels("mine", POSTS, POSTS),
    ):
        torch.testing.assert_close(head.probs(LOGITS).sum(-1), torch.ones(2, dtype=torch.float64))
        assert torch.autograd.gradcheck(head.probs, LOGITS.clone().requires_grad_())
        torch.testing.assert_close(head.log_probs(LOGITS), head.probs(LOGITS).log())


def test_logs_stay_exact_where_probabilities_saturate():
    head = map_labels("mine", TOXIC, TOXIC)
    logits = torch.tensor([[0.0, 60.0]], dtype=torch.float64)
    assert float(head.probs(logits)[0, 1]) == 1.0
    assert float(head.log_probs(logits)[0, 1]) == pytest.approx(-math.exp(-60), rel=1e-6)
    assert float(head.log_probs(logits)[0, 0]) == pytest.approx(-60)


def test_how_labels_were_mapped_can_be_written_down():
    head = map_labels("mine", POSTS, TOXIC, own_positive=("hatespeech", "offensive"))
    found = json.loads(json.dumps(head.as_dict()))
    assert dict(zip(found["labels"], found["made_of"], strict=True)) == {
        "non-toxic": ["normal"],
        "toxic": ["hatespeech", "offensive"],
    }
    assert found["own"] == list(POSTS) and not found["multi_label"]
    assert isinstance(head, Head)

"""Rows of the Jacobian at the word embeddings, against finite differences and captum."""

from __future__ import annotations

import captum.attr
import pytest
import torch
import transformers

from fairbench.errors import FairbenchError
from fairbench.probes import gradients
from fairbench.probes.gradients import ONE, TOGETHER, at_logits, every_row, one_row, rows, trace

CLASSES = 4
PAD = 1
SHAPES = {
    "bert": (transformers.BertForSequenceClassification, {"intermediate_size": 24}),
    "roberta": (transformers.RobertaForSequenceClassification, {"intermediate_size": 24}),
    "distilbert": (transformers.DistilBertForSequenceClassification, {"hidden_dim": 24}),
    "gpt2": (transformers.GPT2ForSequenceClassification, {}),
}


def classifier(family: str, dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    """A random classifier of that shape, with weights of a size at which its output moves."""
    made, more = SHAPES[family]
    torch.manual_seed(1)
    config = made.config_class(
        vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=32, num_labels=CLASSES,
        pad_token_id=PAD, initializer_range=0.3, **more,
    )  # fmt: skip
    return made(config).to(dtype).eval().requires_grad_(False)


@pytest.fixture(params=SHAPES)
def network(request: pytest.FixtureRequest) -> torch.nn.Module:
    return classifier(request.param)


def texts(*lengths: int) -> dict[str, torch.Tensor]:
    """Made-up texts of these lengths, padded at the right."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(4, 60, (length,), generator=generator)
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def probabilities(logits: torch.Tensor) -> torch.Tensor:
    return logits.softmax(-1)


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    return logits.softmax(-1).log()


def as_they_are(logits: torch.Tensor) -> torch.Tensor:
    return logits


OUTPUTS = {"probabilities": probabilities, "log_probabilities": log_probabilities, "logits": as_they_are}


def jacobian(network: torch.nn.Module, inputs: dict[str, torch.Tensor], output: str = "probabilities", backward: str = ONE):
    """(classes, b, t, d)."""
    traced = trace(network, inputs)
    return torch.stack(list(rows(traced, at_logits(traced.logits, OUTPUTS[output]), backward)))


def differences(network: torch.nn.Module, inputs: dict[str, torch.Tensor], output: str) -> torch.Tensor:
    """The same by moving one entry of the embeddings at a time, both ways."""
    step = 1e-5
    embedded = network.get_input_embeddings()(inputs["input_ids"])
    found = torch.empty(CLASSES, *embedded.shape, dtype=embedded.dtype)
    for token in range(embedded.shape[1]):
        for entry in range(embedded.shape[2]):
            sides = []
            for sign in (step, -step):
                moved = embedded.clone()
                moved[:, token, entry] += sign
                hook = network.get_input_embeddings().register_forward_hook(lambda *a, moved=moved: moved)
                sides.append(OUTPUTS[output](network(**inputs).logits))
                hook.remove()
            found[:, :, token, entry] = ((sides[0] - sides[1]) / (2 * step)).T
    return found


@pytest.mark.parametrize("output", OUTPUTS)
def test_equals_finite_differences(network: torch.nn.Module, output: str):
    inputs = texts(7, 4)
    found, wanted = jacobian(network, inputs, output), differences(network, inputs, output)
    assert wanted.abs().max() > 0.01
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("output", OUTPUTS)
def test_equals_captum(family: str, output: str):
    network, trained = classifier(family), classifier(family).requires_grad_(True)
    inputs = texts(9, 9, 5)
    layer = trained.get_input_embeddings()
    method = captum.attr.LayerGradientXActivation(
        lambda ids, mask: OUTPUTS[output](trained(ids, attention_mask=mask).logits), layer, multiply_by_inputs=False
    )
    wanted = torch.stack(
        [
            method.attribute(inputs["input_ids"], target=k, additional_forward_args=inputs["attention_mask"]).detach()
            for k in range(CLASSES)
        ]
    )
    found = jacobian(network, inputs, output)
    assert (found - wanted).abs().max() <= 1e-6 * wanted.abs().max()


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "gpt2"])
def test_equals_captum_on_embeddings_that_are_put_in(family: str):
    """Where nothing is padded a network may be given embeddings in the place of tokens."""
    network = classifier(family)
    ids = texts(8)["input_ids"]
    method = captum.attr.Saliency(lambda embedded: network(inputs_embeds=embedded).logits.softmax(-1))
    embedded = network.get_input_embeddings()(ids).requires_grad_()
    wanted = torch.stack([method.attribute(embedded, target=k, abs=False) for k in range(CLASSES)])
    assert (jacobian(network, {"input_ids": ids}) - wanted).abs().max() <= 1e-6 * wanted.abs().max()


def test_rows_together_are_the_same(network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch):
    inputs = texts(8, 5, 3)
    wanted = jacobian(network, inputs)
    torch.testing.assert_close(jacobian(network, inputs, backward=TOGETHER), wanted, rtol=1e-10, atol=1e-14)
    monkeypatch.setattr(gradients, "ROWS_BUDGET", 3 * 8 * 3)  # three rows, then the fourth
    torch.testing.assert_close(jacobian(network, inputs, backward=TOGETHER), wanted, rtol=1e-10, atol=1e-14)


def test_neither_padding_nor_the_batch_changes_a_row(network: torch.nn.Module):
    together = jacobian(network, texts(9, 4, 6))
    for text, length in enumerate((9, 4, 6)):
        alone = {name: tensor[text : text + 1, :length] for name, tensor in texts(9, 4, 6).items()}
        torch.testing.assert_close(together[:, text : text + 1, :length], jacobian(network, alone), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("backward", [ONE, TOGETHER])
@pytest.mark.parametrize("output", ["probabilities", "log_probabilities"])
def test_one_pass_less_than_classes(
    network: torch.nn.Module, output: str, backward: gradients.Backward, monkeypatch: pytest.MonkeyPatch
):
    inputs = texts(8, 5, 3)
    traced = trace(network, inputs)
    probs = probabilities(traced.logits.detach())
    relation = torch.ones_like(probs) if output == "probabilities" else probs
    asked: list[int] = []
    counted = gradients.rows
    monkeypatch.setattr(gradients, "rows", lambda t, slopes, how: asked.append(len(slopes)) or counted(t, slopes, how))
    found = torch.stack(list(every_row(traced, at_logits(traced.logits, OUTPUTS[output]), relation, backward)))
    assert asked == [CLASSES - 1]
    norms, wanted = (each.norm(dim=(2, 3)).sort(dim=0).values for each in (found, jacobian(network, inputs, output)))
    torch.testing.assert_close(norms, wanted, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("relation", [None, "wrong"])
def test_outputs_that_do_not_sum_to_one_take_a_pass_each(network: torch.nn.Module, relation: str | None):
    inputs = texts(8, 5)
    traced = trace(network, inputs)
    given = None if relation is None else torch.ones_like(traced.logits.detach())
    found = torch.stack(list(every_row(traced, at_logits(traced.logits, torch.sigmoid), given)))
    traced = trace(network, inputs)
    wanted = torch.stack(list(rows(traced, at_logits(traced.logits, torch.sigmoid))))
    torch.testing.assert_close(found, wanted)


def test_one_row_of_each_text(network: torch.nn.Module):
    inputs = texts(8, 5, 3)
    every = jacobian(network, inputs)
    traced = trace(network, inputs)
    chosen = torch.tensor([2, 0, 3])
    slopes = at_logits(traced.logits, lambda z: z.softmax(-1).gather(1, chosen[:, None]))
    torch.testing.assert_close(one_row(traced, slopes[0]), every[chosen, torch.arange(3)])


@pytest.mark.parametrize("gap", [5.0, 12.0, 20.0])
def test_certain_predictions_keep_their_small_gradient(gap: float):
    """In single precision a probability of 1 - 1e-9 is 1, and its gradient nothing."""
    exact, single = classifier("bert"), classifier("bert", torch.float32)
    for network in (exact, single):
        network.classifier.bias += gap * torch.eye(CLASSES, dtype=network.dtype)[0]
    wanted, found = jacobian(exact, texts(6)), jacobian(single, texts(6))
    assert 0 < wanted[0].abs().max() < 10 * 2.718 ** (-gap + 6)
    assert (found[0] - wanted[0]).abs().max() <= 1e-4 * wanted[0].abs().max()


def test_half_precision_does_not_lose_small_gradients():
    network = classifier("bert", torch.float32)
    network.classifier.bias += 15 * torch.eye(CLASSES)[0]
    wanted = jacobian(network, texts(6))[0]
    found = jacobian(network.to(torch.bfloat16), texts(6))[0]
    assert found.dtype == torch.float64
    assert 0 < wanted.abs().max() < 1e-4
    assert torch.corrcoef(torch.stack([found.flatten(), wanted.flatten()]))[0, 1] > 0.99


def test_weights_stay_frozen_and_the_hook_goes(network: torch.nn.Module):
    jacobian(network, texts(6, 3))
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())
    assert not network.get_input_embeddings()._forward_hooks
    with torch.inference_mode():
        assert not network(**texts(6)).logits.requires_grad


class TwoLooks(torch.nn.Module):
    """Asks its embeddings twice; or never."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.words, self.looks = torch.nn.Embedding(60, 4), looks

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.words

    def forward(self, input_ids: torch.Tensor, **_: torch.Tensor) -> transformers.modeling_outputs.SequenceClassifierOutput:
        states = [self.words(input_ids) for _ in range(self.looks)] or [torch.ones(1, 1, 4)]
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=sum(states).mean(1))


@pytest.mark.parametrize("looks", [0, 2])
def test_a_network_without_one_place_is_refused(looks: int):
    network = TwoLooks(looks)
    with pytest.raises(FairbenchError, match=f"asks its word embeddings {looks} times"):
        trace(network, texts(4))
    assert not network.words._forward_hooks


def test_the_way_back_is_by_device():
    network = classifier("bert", torch.float32)
    assert gradients.faster(network) == ONE
    assert gradients.try_both(network) in (ONE, TOGETHER)


def test_where_rows_can_not_go_together_they_go_one_at_a_time(monkeypatch: pytest.MonkeyPatch):
    real = torch.autograd.grad

    def refusing(*args: object, is_grads_batched: bool = False, **more: object) -> object:
        if is_grads_batched:
            raise RuntimeError("no batching rule")
        return real(*args, **more)

    monkeypatch.setattr(torch.autograd, "grad", refusing)
    assert gradients.try_both(classifier("gpt2", torch.float32)) == ONE

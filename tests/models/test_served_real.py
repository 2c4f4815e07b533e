"""`transformers serve` on this machine, with planted models: what a real server does, and what is made of it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from fairbench.errors import FairbenchError
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import ModelOptions, Serving
from fairbench.models.secret import KEYS
from fairbench.models.source import find_source
from fairbench.probes import likelihood

pytestmark = pytest.mark.slow

PROMPTS = ["The nurse said that", "The doctor said that", "The baker was tired, so", "She works as a", "The man was the"]
GREEDY = Decoding(sample=False, max_new_tokens=12)
DRAWN = Decoding(max_new_tokens=12, seed=3)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def planted():
    return str(find_source("planted:causal-0.5", ModelOptions()).folder)


@pytest.fixture(scope="module")
def talkative(planted, tmp_path_factory):
    """The same weights with a chat template, and with a word that texts are to be drawn."""
    folder = tmp_path_factory.mktemp("models") / "talkative"
    shutil.copytree(planted, folder)
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_sample": True}))
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    return str(folder)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-c", "import sys; from transformers.cli.transformers import main; sys.argv[0] = 'transformers'; sys.exit(main())"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    with (home / "log").open("w") as log:
        serve = [sys.executable, *command, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
        process = subprocess.Popen(serve, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, (home / "log").read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def connect(url, name, chat=False, **how):
    serving = Serving(**{"retries": 1, "timeout": 60, "concurrency": 1, **how})
    return load(inspect_model(name, ModelOptions(url=url, apply_chat_template=chat, serving=serving)))


def wishes(samples=1):
    return [Wish(prompt, f"{n} {k}") for n, prompt in enumerate(PROMPTS) for k in range(samples)]


def by_transformers(folder, prompt):
    """The likeliest continuation, as transformers writes it in this process."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        out = network.generate(**ids, do_sample=False, max_new_tokens=12, pad_token_id=tokenizer.eos_token_id)
    return tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)


def test_what_it_offers(url, planted):
    card = inspect_model(planted, ModelOptions(url=url))
    assert card.kind == "served" and not card.prompt_log_probs, "it passes over echo and logprobs in silence"
    assert card.notes[-1] == "The server does not list this model, but answers to its name."
    with pytest.raises(FairbenchError, match="does not offer the model"):
        inspect_model(planted + "-nowhere", ModelOptions(url=url))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_greedy_texts_are_those_of_the_library(url, planted, concurrency):
    found = connect(url, planted, concurrency=concurrency).generate(wishes(), GREEDY)
    assert [one.text for one in found] == [by_transformers(planted, prompt) for prompt in PROMPTS]
    assert all(one.finish in ("end", "length") and 0 < one.tokens <= 12 for one in found)


def test_conversations(url, planted, talkative):
    found = connect(url, talkative, chat=True).generate(wishes(), GREEDY)
    assert [one.text for one in found] == [by_transformers(planted, prompt) for prompt in PROMPTS]
    with pytest.raises(FairbenchError, match="Does the model have a chat template"):
        connect(url, planted, chat=True)


def test_a_temperature_alone_draws_nothing_and_is_refused(url, planted):
    with pytest.raises(FairbenchError, match="this server does not draw"):
        connect(url, planted).generate(wishes(), DRAWN)


@pytest.mark.parametrize("chat", [False, True])
def test_drawn_texts_come_again_by_their_seeds_where_one_is_asked_at_a_time(url, talkative, chat):
    first = connect(url, talkative, chat).generate(wishes(6), DRAWN)
    assert first == connect(url, talkative, chat).generate(wishes(6), DRAWN)
    assert len({one.text for one in first}) > 8
    assert first != connect(url, talkative, chat).generate(wishes(6), Decoding(max_new_tokens=12, seed=4))


def test_drawn_texts_come_in_any_number_at_once(url, talkative):
    assert all(one.text for one in connect(url, talkative, concurrency=4).generate(wishes(6), DRAWN))


def test_stop_strings_are_no_part_of_a_text(url, planted):
    """The server leaves them in it."""
    plain = connect(url, planted).generate(wishes(), GREEDY)[0].text
    stop = plain.split()[1]
    found = connect(url, planted).generate(wishes(), Decoding(sample=False, max_new_tokens=12, stop=(stop,)))[0]
    assert found.text == plain[: plain.index(stop)] and found.finish == "stop"


def test_texts_that_it_breaks_on_are_left_out(url, planted):
    """It answers HTTP 500 to an empty prompt, and to one beyond the model's positions."""
    asked = [*wishes(), Wish("", "empty"), Wish("The nurse said that she was tired. " * 40, "long")]
    found = connect(url, planted, retries=0, concurrency=2).generate(asked, GREEDY)
    assert found[-2:] == ["the server answered HTTP 500 (Internal Server Error)"] * 2
    assert [one.text for one in found[:-2]] == [by_transformers(planted, prompt) for prompt in PROMPTS]


def test_likelihoods_are_refused(url, planted):
    model = connect(url, planted)
    with pytest.raises(FairbenchError, match="gives no log-probabilities of a prompt's tokens"):
        model.option_log_probabilities([("The nurse said that", " she")])
    with pytest.raises(FairbenchError, match="gives replies but not the likelihood of a text"):
        likelihood.resolve(model.card, "Pair", {})

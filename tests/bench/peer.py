"""The peer's side of the comparison. Runs in an environment of its own, which has lm_eval and no fairbench.

Protocol (as `ours.py`): first argument the model's folder, second the batch size; then for every line on standard input (JSON, a
list of texts) one line of JSON on standard output: seconds and log-likelihoods.
"""

import json
import logging
import os
import sys
import time


def main() -> None:
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not stand between the answers
    logging.disable(logging.WARNING)
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = HFLM(pretrained=sys.argv[1], batch_size=int(sys.argv[2]), device="cpu", dtype="float32")
    for line in sys.stdin:
        texts = json.loads(line)
        requests = [Instance(request_type="loglikelihood", doc={}, arguments=("", text), idx=i) for i, text in enumerate(texts)]
        start = time.perf_counter()
        found = model.loglikelihood(requests, disable_tqdm=True)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "values": [value for value, _ in found]}), file=out, flush=True)


main()

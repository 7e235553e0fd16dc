"""What the default recipe learns from 1.5 million characters, beside a tuned AdamW.

AdamW, with the same warm-up and decay, is tried at four learning rates with the first seed. The best
of them by validation is the opponent: it gets every seed, with as many steps as the default recipe,
and again with as many seconds of the processor. Both are also trained with the teacher that the
command line gives a text, an n-gram model of what is learned from, and the default recipe without
one for as many seconds as with it. The n-gram model that does best stands beside them; --count counts
it again, and leaves the models' rows as they are stored.

Two measures of the text set aside: `validation_loss`, each character from at least half a context
(20,000 of them), and `windows_loss`, all of it cut into windows of the context, every position of a
window counted, as others publish it.

The text: the prose of the standard library, split by source; or --text FILE, first nine tenths to
learn from and the last tenth to judge by. One thread; with --processes 2 two runs at a time, which
slow each other down.
"""

import argparse
import json
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from machine import RESULTS, origin, store, write

from transformer_lib.batches import Windows, encode_all
from transformer_lib.decoder import Decoder
from transformer_lib.defaults import TEACHER_TOKENS, distillation_loss, taught_share
from transformer_lib.devices import keep_memory, make_accelerator
from transformer_lib.evaluation import best_ngrams, cross_entropy
from transformer_lib.splits import python_prose
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import language_loss, train

T, B = 64, 12
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
LONGEST = 20  # tokens of the n-grams that stand beside the models


def texts(path):
    """Tokens to learn from, tokens to judge by, and the size of the vocabulary."""
    if path:
        whole = Path(path).read_text("utf-8")
        cut = len(whole) * 9 // 10
        learn, judge = [whole[:cut]], [whole[cut:]]
    else:
        split = python_prose()
        learn, judge = ([p.text for p in part] for part in (split.train, split.validation))
    tokenizer = train_tokenizer(learn, "char", 256)
    return encode_all(learn, tokenizer), encode_all(judge, tokenizer), tokenizer.get_vocab_size()


@torch.no_grad()
def in_windows(model, tokens):
    """The mean loss of all whole windows, every position counted."""
    count = (len(tokens) - 1) // T
    x, y = (tokens[i : i + count * T].view(count, T) for i in (0, 1))
    total = sum(
        model(a, b, return_attention=False)[1].item() * len(a)
        for a, b in zip(x.split(64), y.split(64), strict=True)
    )
    return total / count


def begin(*parts):
    """Called in each process, before its first run."""
    global learn, judge, vocab_size
    torch.set_num_threads(1)
    keep_memory()
    learn, judge, vocab_size = parts


def run(job):
    """Train one model from its seed; a row of results. Counting belongs to its seconds."""
    seed, steps, name, taught, recipe = job
    torch.manual_seed(seed)
    model = Decoder(vocab_size, T, embedding_dim=128, num_heads=4, num_layers=4)
    started = time.process_time()
    loss_fn = language_loss
    if taught:
        teacher = best_ngrams(learn, vocab_size, TEACHER_TOKENS)
        loss_fn = partial(distillation_loss, teacher=teacher, share=taught_share(len(learn)))
    train(
        model,
        Windows(learn, T, B, seed),
        loss_fn,
        steps=steps,
        accelerator=make_accelerator("cpu"),
        seed=seed,
        **recipe,
    )
    seconds = time.process_time() - started
    losses = cross_entropy(model, judge[:20_000], batch_size=64), in_windows(model, judge)
    return told(name, steps, steps * T * B, seconds, *losses, seed=seed)


def count():
    """The n-gram model that does best on the last tenth of what is learned from; it has no seed."""
    started = time.process_time()
    model = best_ngrams(learn, vocab_size, LONGEST)
    seconds = time.process_time() - started
    validation = -model.log_probs(judge[:20_000]).mean().item()
    whole = (len(judge) - 1) // T * T
    windows = zip(judge[:whole].split(T), judge[1 : whole + 1].split(T), strict=True)
    rows = (model.distributions(x)[1:].gather(1, y[:, None]) for x, y in windows)
    in_windows = -torch.cat(list(rows)).log().mean().item()
    name = f"Kneser-Ney, {model.order}-grams"
    return told(name, 0, len(learn), seconds, validation, in_windows)


def told(name, steps, characters, seconds, validation, windows, **seed):
    """A row of results, which is printed too."""
    row = seed | {
        "recipe": name,
        "steps": steps,
        "characters": characters,
        "seconds": seconds,
        "validation_loss": validation,
        "validation_bits": validation / math.log(2),
        "windows_loss": windows,
        "windows_bits": windows / math.log(2),
    }
    print(row, flush=True)
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--characters", type=int, default=1_536_000)
    parser.add_argument("--text", help="a file, instead of the standard library's prose")
    parser.add_argument(
        "--judged", type=int, help="characters to judge by; default: all that are set aside"
    )
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")
    parser.add_argument("--count", action="store_true", help="only count, for the stored file")
    asked = parser.parse_args()
    steps = max(1, asked.characters // (T * B))

    def job(seed, name, recipe, count=steps, taught=False):
        return seed, count, name + ", with a teacher" * taught, taught, recipe

    def adamw(rate):
        return {"muon": False, "learning_rate": rate}

    def name(rate):
        return f"AdamW {rate:.0e}".replace("e-0", "e-")

    learn, judge, vocab_size = texts(asked.text)
    parts = learn, judge[: asked.judged], vocab_size
    if asked.count:
        begin(*parts)
        content = json.loads((RESULTS / "learning.json").read_text("utf-8"))
        trained = [row for row in content["results"] if "seed" in row]
        return write("learning", content | {"results": [*trained, count() | {"origin": origin()}]})
    with ProcessPoolExecutor(asked.processes, get_context("spawn"), begin, parts) as pool:
        seeds, tried = range(asked.seeds), [job(0, name(rate), adamw(rate)) for rate in RATES]
        counted = pool.submit(count)
        defaults = [job(s, "default", {}, taught=taught) for taught in (False, True) for s in seeds]
        rows = list(pool.map(run, tried + defaults))
        swept, ours = rows[: len(RATES)], rows[len(RATES) :]
        best = min(range(len(RATES)), key=lambda i: swept[i]["validation_loss"])
        rate = RATES[best]
        alone, taught = (
            statistics.mean(row["seconds"] for row in part)
            for part in (ours[: asked.seeds], ours[asked.seeds :])
        )
        longer = max(1, round(steps * alone / swept[best]["seconds"]))
        longest = max(1, round(steps * taught / alone))
        rows += pool.map(
            run,
            [job(s, name(rate), adamw(rate)) for s in seeds if s]
            + [job(s, f"{name(rate)}, same seconds", adamw(rate), longer) for s in seeds]
            + [job(s, name(rate), adamw(rate), taught=True) for s in seeds]
            + [job(s, "default, a teacher's seconds", {}, longest) for s in seeds],
        )
        rows.append(counted.result())
    print(f"{'recipe':32} {'steps':>6} {'seconds':>8}  validation  bits  windows  bits")
    for which in dict.fromkeys(row["recipe"] for row in rows):
        of = [row for row in rows if row["recipe"] == which]
        means = {key: statistics.mean(row[key] for row in of) for key in of[0] if key != "recipe"}
        print(
            f"{which:32} {means['steps']:6.0f} {means['seconds']:8.1f}  "
            f"{means['validation_loss']:10.4f}  {means['validation_bits']:.3f}  "
            f"{means['windows_loss']:7.4f}  {means['windows_bits']:.3f}   ({len(of)} seeds)"
        )
    store("learning", rows)


if __name__ == "__main__":
    main()

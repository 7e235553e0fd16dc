"""The default recipe's decay and momentum beside those before them, seed by seed.

A small decoder of letters is trained by hand, so that only these two differ: a straight decay with
Muon's momentum 0.9, and half a cosine with 0.95. Each seed begins both with the same weights and
gives them the same batches.
"""

import argparse
import math
import statistics

import torch
from machine import store

from transformer_lib.batches import Windows, encode_all
from transformer_lib.decoder import Decoder
from transformer_lib.evaluation import cross_entropy
from transformer_lib.optimizers import make_optimizers
from transformer_lib.splits import python_prose
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import language_loss, schedule

T, B, RATE = 64, 12, 3e-3


def cosine(step, steps, warmup):
    """Half a cosine in the place of the straight fall (Loshchilov and Hutter 2017)."""
    if step < warmup:
        return schedule(step, steps, warmup)
    return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


RECIPES = {"straight, 0.9": (schedule, 0.9), "cosine, 0.95": (cosine, 0.95)}


def run(tokens, judge, vocab_size, steps, seed, decay, momentum):
    """Train one model; its loss on the tokens to judge by, in nats a letter."""
    torch.manual_seed(seed)
    model = Decoder(vocab_size, T, embedding_dim=64, num_heads=2, num_layers=2)
    batches, warmup = Windows(tokens, T, B, seed), max(1, steps // 20)
    optimizers = make_optimizers(model, RATE)
    for step in range(steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = RATE * decay(step, steps, warmup)
                if "momentum" in group:
                    group["momentum"] = momentum
            optimizer.zero_grad()
        language_loss(model, batches(step)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
    return cross_entropy(model.eval(), judge, stride=T, batch_size=64)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    split = python_prose()
    learn, judge = ([p.text for p in part] for part in (split.train, split.validation))
    tokenizer = train_tokenizer(learn, "char", 256)
    parts = encode_all(learn, tokenizer), encode_all(judge, tokenizer)[:20_001]
    rows = []
    for seed in range(asked.seeds):
        for name, recipe in RECIPES.items():
            loss = run(*parts, tokenizer.get_vocab_size(), asked.steps, seed, *recipe)
            rows.append({"seed": seed, "recipe": name, "validation_loss": loss})
            print(rows[-1], flush=True)
    new, old = ([r["validation_loss"] for r in rows if r["recipe"] == n] for n in RECIPES)
    lower = [b - a for a, b in zip(new, old, strict=True)]
    print(f"lower by {statistics.mean(lower):.4f} nats, in {sum(x > 0 for x in lower)} seeds")
    store("recipe", rows)


if __name__ == "__main__":
    main()

"""The default recipe's decay, momentum and rounds beside others, seed by seed.

A small decoder of letters is trained by hand, so that only these differ: a straight decay with Muon's
momentum 0.9 and four rounds, the same with five, and half a cosine with 0.95 and five. Each seed begins
all of them with the same weights and gives them the same batches.
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

T, B, RATE = 64, 12, 5e-3


def cosine(step, steps, warmup):
    """Half a cosine in the place of the straight fall (Loshchilov and Hutter 2017)."""
    if step < warmup:
        return schedule(step, steps, warmup)
    return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


RECIPES = {
    "straight, 0.9, 4": (schedule, 0.9, 4),
    "straight, 0.9, 5": (schedule, 0.9, 5),
    "cosine, 0.95, 5": (cosine, 0.95, 5),
}


def run(tokens, judge, vocab_size, steps, seed, decay, momentum, rounds):
    """Train one model; its loss on the tokens to judge by, in nats a letter."""
    torch.manual_seed(seed)
    model = Decoder(vocab_size, T, embedding_dim=64, num_heads=2, num_layers=2)
    batches, warmup = Windows(tokens, T, B, seed), max(1, steps // 20)
    optimizers = make_optimizers(model, RATE)
    for step in range(steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = RATE * decay(step, steps, warmup)
                if "ns_steps" in group:
                    group |= {"momentum": momentum, "ns_steps": rounds}
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
    chosen, *others = ([r["validation_loss"] for r in rows if r["recipe"] == n] for n in RECIPES)
    for name, other in zip(list(RECIPES)[1:], others, strict=True):
        lower = [b - a for a, b in zip(chosen, other, strict=True)]
        count = sum(x > 0 for x in lower)
        print(f"lower by {statistics.mean(lower):.4f} nats than {name}, in {count} seeds")
    store("recipe", rows)


if __name__ == "__main__":
    main()

"""What the default recipe learns from 1.5 million characters, beside AdamW with cosine decay.

AdamW gets a learning rate of 1e-3 and of 3e-3 (the default recipe's), and as many seconds as the
default recipe took.
"""

import argparse

import torch
from machine import store

from transformer_lib.batches import Windows, encode_all
from transformer_lib.decoder import Decoder
from transformer_lib.text import python_prose
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import cross_entropy, language_loss, make_accelerator, train

T, B = 64, 12


def run(tokens, validation, vocab_size, seed, steps, name, recipe):
    torch.manual_seed(seed)
    model = Decoder(vocab_size, T, embedding_dim=128, num_heads=4, num_layers=4)
    history = train(
        model,
        Windows(tokens, T, B, seed),
        language_loss,
        steps=steps,
        accelerator=make_accelerator(),
        seed=seed,
        **recipe,
    )
    one = {
        "seed": seed,
        "recipe": name,
        "steps": steps,
        "seconds": history.seconds,
        "validation_loss": cross_entropy(model, validation, batch_size=64),
    }
    print(one, flush=True)
    return one


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--characters", type=int, default=1_500_000)
    arguments = parser.parse_args()
    split = python_prose()
    tokenizer = train_tokenizer([p.text for p in split.train], "char", 256)
    tokens = encode_all([p.text for p in split.train], tokenizer)
    validation = encode_all([p.text for p in split.validation], tokenizer)[:20_000]
    fixed = tokens, validation, tokenizer.get_vocab_size()
    steps, results = max(1, arguments.characters // (T * B)), []
    for seed in range(arguments.seeds):
        ours = run(*fixed, seed, steps, "default", {})
        adamw = {"muon": False, "learning_rate": 1e-3}
        other = run(*fixed, seed, steps, "AdamW 1e-3", adamw)
        longer = max(1, round(steps * ours["seconds"] / other["seconds"]))
        results += [
            ours,
            other,
            run(*fixed, seed, longer, "AdamW 1e-3, same seconds", adamw),
            run(*fixed, seed, steps, "AdamW 3e-3", adamw | {"learning_rate": 3e-3}),
        ]
    store("learning", results)


if __name__ == "__main__":
    main()

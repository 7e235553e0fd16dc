"""What the default recipe learns from 1.5 million characters, beside AdamW at 1e-3 with cosine decay."""
import argparse

import torch
from machine import store

from transformer_lib.batches import Windows, encode_all
from transformer_lib.decoder import Decoder
from transformer_lib.text import python_prose
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import cross_entropy, language_loss, make_accelerator, train

CHARACTERS, T, B = 1_500_000, 64, 12


def run(tokens, validation, vocab_size, seed, steps, muon):
    torch.manual_seed(seed)
    model = Decoder(vocab_size, T, embedding_dim=128, num_heads=4, num_layers=4)
    recipe = {} if muon else {"muon": False, "learning_rate": 1e-3}
    history = train(model, Windows(tokens, T, B, seed), language_loss, steps=steps,
                    accelerator=make_accelerator(), seed=seed, **recipe)
    return {"seed": seed, "recipe": "default" if muon else "AdamW 1e-3", "steps": steps,
            "seconds": history.seconds, "validation_loss": cross_entropy(model, validation, batch_size=64)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    split = python_prose()
    tokenizer = train_tokenizer([p.text for p in split.train], "char", 256)
    tokens = encode_all([p.text for p in split.train], tokenizer)
    validation = encode_all([p.text for p in split.validation], tokenizer)[:20_000]
    steps, results = CHARACTERS // (T * B), []
    for seed in range(seeds):
        ours = run(tokens, validation, tokenizer.get_vocab_size(), seed, steps, True)
        other = run(tokens, validation, tokenizer.get_vocab_size(), seed, steps, False)
        longer = round(steps * ours["seconds"] / other["seconds"])
        same_time = run(tokens, validation, tokenizer.get_vocab_size(), seed, longer, False)
        same_time["recipe"] = "AdamW 1e-3, same seconds"
        for one in (ours, other, same_time):
            print(one, flush=True)
            results.append(one)
    store("learning", results)


if __name__ == "__main__":
    main()

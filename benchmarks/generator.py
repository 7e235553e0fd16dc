"""The generator trained longer than a chapter may take, over seeds, beside Kneser-Ney n-grams.

    OMP_NUM_THREADS=2 python benchmarks/generator.py [--seeds 3] [--steps 1200]

About four minutes a seed on two quiet cores. Chapter 16 reads the file it stores.
"""

import argparse
import math

import torch
from machine import store

from transformer_lib.batches import Windows, encode_all
from transformer_lib.decoder import Decoder
from transformer_lib.ngrams import KneserNey, perplexity_of
from transformer_lib.sampling import generate
from transformer_lib.text import python_prose
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import cross_entropy, language_loss, make_accelerator, train

SIZES = dict(embedding_dim=192, num_heads=6, num_layers=4, dropout=0.1)
T, V = 64, 2048


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch-size", type=int, default=32, help="windows a step")
    parser.add_argument("--store", default="generator", help="name of the file of results")
    arguments = parser.parse_args()
    split = python_prose()
    tokenizer = train_tokenizer([p.text for p in split.train], "bpe", V)
    train_tokens, validation_tokens, test_tokens = (
        encode_all([p.text for p in part], tokenizer)
        for part in (split.train, split.validation, split.test)
    )
    results = {
        "baselines": {"uniform": float(V)},
        "runs": [],
        "sizes": SIZES,
        "steps": arguments.steps,
        "block_size": T,
        "batch_size": arguments.batch_size,
        "vocab_size": V,
        "train_tokens": len(train_tokens),
        "test_tokens": len(test_tokens),
    }
    for order in range(1, 6):
        model = KneserNey(order, V).fit(train_tokens)
        results["baselines"][f"Kneser-Ney {order}"] = perplexity_of(model.log_probs(test_tokens))
    print(results["baselines"], flush=True)
    for seed in range(arguments.seeds):
        torch.manual_seed(seed)
        model = Decoder(V, T, **SIZES)
        history = train(
            model,
            Windows(train_tokens, T, arguments.batch_size, seed),
            language_loss,
            steps=arguments.steps,
            learning_rate=1e-2,
            accelerator=make_accelerator(),
            seed=seed,
            evaluate=lambda model: math.exp(cross_entropy(model, validation_tokens)),
            evaluate_every=max(1, arguments.steps // 8),
        )
        one = {
            "seed": seed,
            "seconds": history.seconds,
            "parameters": sum(p.numel() for p in model.parameters()),
            "device": next(model.parameters()).device.type,
            "validation": history.evaluations,
            "test_perplexity": math.exp(cross_entropy(model, test_tokens)),
            # the first three passages that it writes, not the best three
            "samples": [
                "".join(generate(model, tokenizer, tokens=80, top_p=0.9, seed=number))
                for number in range(3)
            ],
        }
        print(one, flush=True)
        results["runs"].append(one)
    store(arguments.store, results)


if __name__ == "__main__":
    main()

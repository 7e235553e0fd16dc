"""The generator trained longer than a chapter may take, over seeds, beside Kneser-Ney n-grams.

    python benchmarks/generator.py [--seeds 3] [--steps 2400] [--weights transformer_lib/weights/generator]

The dropout is chosen by the validation text, with the first seed; the test text is read once a
seed, at the end. --weights keeps the first seed's model, 8 bits a weight: what the chapters load.
Chapter 19 reads the file that this stores.
"""

import argparse
import math

import torch
from machine import store

from transformer_lib.batches import Windows, encode_all
from transformer_lib.decoder import Decoder
from transformer_lib.devices import keep_memory, make_accelerator
from transformer_lib.evaluation import cross_entropy
from transformer_lib.ngrams import KneserNey, perplexity_of
from transformer_lib.sampling import generate
from transformer_lib.saving import load_model, save_model
from transformer_lib.splits import python_prose
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import language_loss, train

SIZES = dict(embedding_dim=128, num_heads=4, num_layers=4)
T, V = 64, 2048


def run(seed, dropout, ids, tokenizer, arguments):
    """One decoder, trained; and what is stored of it."""
    torch.manual_seed(seed)
    model = Decoder(V, T, dropout=dropout, **SIZES)
    history = train(
        model,
        Windows(ids["train"], T, arguments.batch_size, seed),
        language_loss,
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        accelerator=make_accelerator(),
        seed=seed,
        evaluate=lambda model: math.exp(cross_entropy(model, ids["validation"])),
        evaluate_every=max(1, arguments.steps // 8),
    )
    return model, {
        "seed": seed,
        "dropout": dropout,
        "seconds": history.seconds,
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": next(model.parameters()).device.type,
        "validation": history.evaluations,
        "test_perplexity": math.exp(cross_entropy(model, ids["test"])),
        # the first three passages that it writes, not the best three
        "samples": [
            "".join(generate(model, tokenizer, max_new_tokens=80, top_p=0.9, seed=number))
            for number in range(3)
        ],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch-size", type=int, default=32, help="windows a step")
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--dropouts", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--store", default="generator", help="name of the file of results")
    parser.add_argument("--weights", help="a folder for the first seed's model")
    arguments = parser.parse_args()
    keep_memory()
    split = python_prose()
    tokenizer = train_tokenizer([p.text for p in split.train], "bpe", V)
    ids = {k: encode_all([p.text for p in part], tokenizer) for k, part in vars(split).items()}
    results = {
        "baselines": {"uniform": float(V)},
        "tried": {},
        "runs": [],
        "sizes": SIZES,
        "steps": arguments.steps,
        "learning_rate": arguments.learning_rate,
        "block_size": T,
        "batch_size": arguments.batch_size,
        "vocab_size": V,
        "train_tokens": len(ids["train"]),
        "test_tokens": len(ids["test"]),
    }
    for order in range(1, 6):
        model = KneserNey(order, V).fit(ids["train"])
        results["baselines"][f"Kneser-Ney {order}"] = perplexity_of(model.log_probs(ids["test"]))
    print(results["baselines"], flush=True)
    first = {d: run(0, d, ids, tokenizer, arguments) for d in arguments.dropouts}
    results["tried"] = {str(d): stored["validation"][-1][1] for d, (_, stored) in first.items()}
    dropout = min(first, key=lambda d: first[d][1]["validation"][-1][1])
    print("validation by dropout:", results["tried"], flush=True)
    model, stored = first[dropout]
    if arguments.weights:
        save_model(arguments.weights, model, tokenizer, bits=8)
        again = load_model(arguments.weights).model
        stored["test_perplexity_of_8_bits"] = math.exp(cross_entropy(again, ids["test"]))
    results["runs"].append(stored)
    for seed in range(1, arguments.seeds):
        results["runs"].append(run(seed, dropout, ids, tokenizer, arguments)[1])
    for stored in results["runs"]:
        print({k: v for k, v in stored.items() if k != "samples"}, flush=True)
    store(arguments.store, results)


if __name__ == "__main__":
    main()

"""Which library is this sentence about? The pretrained classifier beside its baselines.

    python benchmarks/classifier.py --seeds 5 --out benchmarks/results/classifier.json

For each seed: masked-token pretraining on the unlabelled rest of the corpus (validation
and test sources left out), fine-tuning on the labelled training sentences, and the same
fine-tuning from scratch. All settings were chosen on the validation part; the test part
is read once per seed, at the end. A file that exists is continued, seed by seed, where the recipe,
the machine, the commit and the text are the same.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import origin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tokenizers import normalizers

from transformer_lib.batches import Sentences, encode_all
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.devices import keep_memory, make_accelerator
from transformer_lib.encoder import Encoder
from transformer_lib.evaluation import predict
from transformer_lib.pretraining import (
    MaskedLanguageModel,
    MaskedWindows,
    finetuning_loss,
    masked_loss,
    without_sources,
)
from transformer_lib.saving import load_model, save_model
from transformer_lib.splits import overlap, which_library
from transformer_lib.text import SIX_PACKAGES, python_documentation
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import train

RECIPE = {
    "tokens": "words in small letters",
    "vocab_size": 8_000,
    "block_size": 64,
    "embedding_dim": 128,
    "num_heads": 4,
    "num_layers": 2,
    "hidden_dim": 128,
    "pretraining": {
        "steps": 1000,
        "batch_size": 32,
        "learning_rate": 6e-3,
        "share": 0.15,
        "dropout": 0.1,
    },
    "finetuning": {
        "steps": 800,
        "batch_size": 32,
        "learning_rate": {"pretrained": 6e-3, "scratch": 3e-3},
        "dropout": 0.3,
        "hidden_words": 0.2,
        "label_smoothing": 0.1,
    },
}


def marks(right) -> str:
    """Which sentences were right, one character each: 1 or 0."""
    return "".join("01"[bool(one)] for one in right)


def small_letters(passages):
    """The same passages in small letters."""
    return [replace(p, text=p.text.lower()) for p in passages]


def source_numbers(passages):
    """A number for the source of each passage: the same source, the same number."""
    number = {name: i for i, name in enumerate(dict.fromkeys(p.source for p in passages))}
    return [number[p.source] for p in passages]


def baselines(split, unlabelled) -> dict:
    """Majority, and TF-IDF with logistic regression in every setting tried.

    Each setting may learn its word weights (idf) from the labelled sentences alone or
    from all text that the transformer may read. "chosen" is the one that validation picks.
    """
    texts = {name: [p.text for p in part] for name, part in vars(split).items()}
    labels = {name: np.array([p.label for p in part]) for name, part in vars(split).items()}
    names, counts = np.unique(labels["train"], return_counts=True)
    rows = []
    for source, seen in (
        ("labelled", texts["train"]),
        ("unlabelled", [p.text for p in unlabelled]),
    ):
        for sublinear in (False, True):
            tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=sublinear).fit(seen)
            x = {name: tfidf.transform(part) for name, part in texts.items()}
            for C in (1, 3, 10, 30, 100):
                model = LogisticRegression(C=C, max_iter=2000).fit(x["train"], labels["train"])
                rows.append(
                    {
                        "idf": source,
                        "sublinear_tf": sublinear,
                        "C": C,
                        "validation": model.score(x["validation"], labels["validation"]),
                        "test": model.score(x["test"], labels["test"]),
                        "right": marks(model.predict(x["test"]) == labels["test"]),
                    }
                )

    def chosen(rows):
        return max(rows, key=lambda row: row["validation"])

    return {
        "majority": float((labels["test"] == names[counts.argmax()]).mean()),
        "tfidf": chosen([row for row in rows if row["idf"] == "labelled"]),
        "tfidf_unlabelled": chosen([row for row in rows if row["idf"] == "unlabelled"]),
        "tfidf_best_on_test": max(rows, key=lambda row: row["test"]),
        "tfidf_all": rows,
    }


def run(seed, split, unlabelled, recipe, accelerator, weights=None) -> dict:
    """Pretrain, fine-tune, and fine-tune from scratch, with one seed.

    weights: a folder for the pretrained classifier.
    """
    first, second = recipe["pretraining"], recipe["finetuning"]
    lower = {name: small_letters(part) for name, part in vars(split).items()}
    texts = [p.text for p in small_letters(unlabelled)]
    tokenizer = train_tokenizer(texts, "word", recipe["vocab_size"])
    T = recipe["block_size"]
    sizes = {name: recipe[name] for name in ("embedding_dim", "num_heads", "num_layers")}
    V = tokenizer.get_vocab_size()

    def sentences(part, batch_size):
        return Sentences(lower[part], tokenizer, SIX_PACKAGES, T, batch_size, seed=seed)

    started = time.perf_counter()
    torch.manual_seed(seed)
    model = MaskedLanguageModel(Encoder(V, T, dropout=first["dropout"], **sizes))
    tokens = encode_all(texts, tokenizer)
    windows = MaskedWindows(tokens, T, first["batch_size"], seed, first["share"])
    history = train(
        model,
        windows,
        masked_loss,
        steps=first["steps"],
        learning_rate=first["learning_rate"],
        accelerator=accelerator,
        seed=seed,
    )
    result = {
        "seed": seed,
        "pretraining_tokens": len(tokens),
        "pretraining_losses": np.array(history.losses).reshape(-1, 20).mean(1).round(4).tolist()
        if first["steps"] % 20 == 0
        else [],
        "pretraining_seconds": round(time.perf_counter() - started, 1),
    }

    def loss(model, batch):
        return finetuning_loss(model, batch, second["hidden_words"], second["label_smoothing"])

    for kind in ("pretrained", "scratch"):
        started = time.perf_counter()
        torch.manual_seed(seed)
        encoder = Encoder(V, T, dropout=second["dropout"], **sizes)
        if kind == "pretrained":
            encoder.load_state_dict(model.encoder.state_dict())
        head = Classifier(recipe["embedding_dim"], recipe["hidden_dim"], len(SIX_PACKAGES))
        classifier = EncoderClassifier(encoder, head)
        parts = {
            part: sentences(part, 128).to(accelerator.device) for part in ("validation", "test")
        }
        train(
            classifier,
            sentences("train", second["batch_size"]),
            loss,
            steps=second["steps"],
            learning_rate=second["learning_rate"][kind],
            accelerator=accelerator,
            seed=seed,
        )
        right = {p: predict(classifier, parts[p]) == parts[p].labels.cpu() for p in parts}
        result[kind] = {part: float(right[part].double().mean()) for part in parts}
        result[kind]["right"] = marks(right["test"])
        result[kind]["seconds"] = round(time.perf_counter() - started, 1)
        result["parameters"] = sum(p.numel() for p in classifier.parameters())
        if weights and kind == "pretrained":
            steps = [normalizers.NFC(), normalizers.Lowercase()]
            tokenizer.normalizer = normalizers.Sequence(steps)  # as the texts were learned
            save_model(weights, classifier, tokenizer, list(SIX_PACKAGES), bits=8)
            again = load_model(weights).model
            right = predict(again, sentences("test", 128)) == parts["test"].labels.cpu()
            result["test_of_8_bits"] = float(right.double().mean())
    return result


def summary(stored) -> str:
    """The table that is printed at the end."""
    base = stored["baselines"]
    lines = [f"majority                     {base['majority']:.3f}"]
    for name, text in (
        ("tfidf", "TF-IDF, labelled text"),
        ("tfidf_unlabelled", "TF-IDF, idf of all text"),
        ("tfidf_best_on_test", "TF-IDF, best of all on test"),
    ):
        lines.append(f"{text:28} {base[name]['test']:.3f}")
    for kind in ("scratch", "pretrained"):
        got = [r[kind]["test"] for r in stored["runs"]]
        lines.append(
            f"transformer, {kind:15} {np.mean(got):.3f}  "
            + " ".join(f"{value:.3f}" for value in got)
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="runs, with seeds 0, 1, ...")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/classifier.json"))
    parser.add_argument(
        "--device", default=None, help="cuda, cpu or mps; default: the best there is"
    )
    parser.add_argument("--weights", help="a folder for a model half as wide: what chapters load")
    arguments = parser.parse_args()
    keep_memory()
    accelerator = make_accelerator(arguments.device)
    split, corpus = which_library(), python_documentation()
    unlabelled = without_sources(corpus, split.validation, split.test)
    stored = {
        "recipe": RECIPE,
        **origin(),
        "precision": accelerator.mixed_precision,
        "sentences": {name: len(part) for name, part in vars(split).items()},
        "sources": source_numbers(split.test),
        "overlap": overlap([p.text for p in unlabelled], [p.text for p in split.test]),
        "baselines": baselines(split, unlabelled),
        "runs": [],
    }
    if arguments.out.exists():
        old = json.loads(arguments.out.read_text("utf-8"))
        told = ("recipe", "machine", "commit", "sentences")
        same = all(old.get(name) == stored[name] for name in told)
        stored["runs"] = old["runs"] if same else []
    for seed in range(len(stored["runs"]), arguments.seeds):
        stored["runs"].append(run(seed, split, unlabelled, RECIPE, accelerator))
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
        print(
            json.dumps({k: v for k, v in stored["runs"][-1].items() if k != "pretraining_losses"}),
            file=sys.stderr,
            flush=True,
        )
    if arguments.weights:
        half = RECIPE | {"embedding_dim": 64, "hidden_dim": 64}
        kept = run(0, split, unlabelled, half, accelerator, arguments.weights)
        stored["kept"] = {k: v for k, v in kept.items() if k != "pretraining_losses"}
        arguments.out.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    print(json.dumps(stored["machine"]))
    print(summary(stored))


if __name__ == "__main__":
    main()

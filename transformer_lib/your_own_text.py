import json
import math
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Optional

import torch
import typer
from tokenizers import Tokenizer

from transformer_lib.batches import Sentences, Windows, encode_all
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder
from transformer_lib.sampling import generate as generate_text
from transformer_lib.saving import Checkpoints, Loaded, load_model, save_model, write_whole
from transformer_lib.text import (Passage, Split, overlap, python_prose, read_labelled, read_text,
                                  split_by_source, which_library)
from transformer_lib.tokens import load_tokenizer, train_tokenizer
from transformer_lib.training import (classification_loss, cross_entropy, language_loss,
                                      make_accelerator, predict, train)


def hold_out(passages: list[Passage], share: float = 0.1) -> tuple[list[Passage], list[Passage]]:
    """Set a share of passages aside: whole sources where there are many, else the end."""
    if len({passage.source for passage in passages}) >= 10:
        split = split_by_source(passages, validation=0, test=share)
        if split.train and split.test:
            return split.train, split.test
    if len(passages) < 2:
        raise ValueError("train must hold at least two paragraphs, or give test as well")
    cut = min(len(passages) - 1, math.ceil(len(passages) * (1 - share)))
    return passages[:cut], passages[cut:]


def make_split(train: Path | None, test: Path | None, read, builtin) -> Split:
    """Train, validation and test passages from the user's files, or the built-in ones."""
    if train is None:
        if test is not None:
            raise ValueError("test needs train: give both, or neither for the built-in text")
        return builtin()
    rest = read(train)
    if test is None:
        rest, tested = hold_out(rest)
    else:
        tested = read(test)
    kept, validation = hold_out(rest)
    return Split(kept, validation, tested)


def per_text(model: Decoder, tokenizer: Tokenizer, texts: list[str]) -> dict[str, float]:
    """Cross-entropy and perplexities of a decoder on texts: per token, per word, bits per byte."""
    tokens = encode_all(texts, tokenizer)
    nats = cross_entropy(model, tokens)
    total = nats * (len(tokens) - 1)
    words = sum(len(text.split()) for text in texts)
    size = sum(len(text.encode()) for text in texts)
    return {"tokens": len(tokens) - 1, "nats_per_token": nats, "perplexity_per_token": math.exp(nats),
            "perplexity_per_word": math.exp(min(total / max(words, 1), 700.0)),
            "bits_per_byte": total / math.log(2) / max(size, 1)}


def per_class(model: EncoderClassifier, tokenizer: Tokenizer, labels: list[str],
              passages: list[Passage], seen: set[str]) -> dict:
    """Accuracy of a classifier on passages: of all, of each class, of those seen in training
    and of the others; and the confusion matrix, a row for each true class."""
    batches = Sentences(passages, tokenizer, labels, model.encoder.sizes["block_size"], 64)
    found, K = predict(model, batches), len(labels)
    right = found == batches.labels
    table = torch.bincount(batches.labels * K + found, minlength=K * K).view(K, K)
    known = torch.tensor([" ".join(p.text.lower().split()) in seen for p in passages])

    def share(which: torch.Tensor) -> float | None:
        return float(right[which].float().mean()) if bool(which.any()) else None

    return {"sentences": len(passages), "accuracy": float(right.float().mean()),
            "accuracy_per_class": {name: share(batches.labels == k) for k, name in enumerate(labels)},
            "accuracy_seen": share(known), "accuracy_unseen": share(~known),
            "seen": int(known.sum()), "confusion": table.tolist(), "labels": labels}


def choose_tokenizer(out: Path, texts: list[str], kind: str, vocab_size: int, resume: bool) -> Tokenizer:
    """Prepare the run's folder: refuse one in use, keep its tokenizer when resuming."""
    begun = (out / "tokenizer.json").exists()
    if begun and not resume:
        raise ValueError(f"out: {str(out)!r} already holds a run; add --resume to go on with it, "
                         "or choose another folder")
    if begun:
        return load_tokenizer(out / "tokenizer.json")
    tokenizer = train_tokenizer(texts, kind, vocab_size)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "tokenizer.json", tokenizer.to_str().encode())
    return tokenizer


@contextmanager
def plain_errors():
    """Bad input ends the command with one sentence and exit code 2, without a traceback."""
    try:
        yield
    except (ValueError, OSError, FloatingPointError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt as error:
        typer.echo(f"{error}; add --resume to go on", err=True)
        raise typer.Exit(130) from None


def finish(out: Path, results: dict) -> None:
    """Write results.json, and the same as the last line of output."""
    write_whole(out / "results.json", json.dumps(results, indent=2).encode())
    typer.echo(json.dumps(results))


app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Train the book's models on your own text, and use them.")

Train = Annotated[Optional[Path], typer.Option(help="What to learn from; without it, Python's own documentation.")]
Test = Annotated[Optional[Path], typer.Option(help="What to be judged on; without it, a tenth of train is set aside.")]
Out = Annotated[Path, typer.Option(help="The folder for the model, its checkpoints and results.json.")]
Kind = Annotated[str, typer.Option("--tokenizer", help="char, word or bpe.")]


@app.command()
def train_decoder(
    out: Out, train_on: Annotated[Optional[Path], typer.Option("--train", help=Train.__metadata__[0].help)] = None,
    test: Test = None, tokenizer: Kind = "bpe", vocab_size: int = 2048, block_size: int = 64,
    embedding_dim: int = 192, num_heads: int = 6, num_layers: int = 4, dropout: float = 0.1,
    steps: int = 600, batch_size: int = 32, learning_rate: float = 1e-2, seed: int = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in out.")] = False,
):
    """Train a text generator on a text file, or a folder of .txt and .md files."""
    with plain_errors():
        split = make_split(train_on, test, read_text, python_prose)
        texts = {part: [p.text for p in getattr(split, part)] for part in ("train", "validation", "test")}
        words = choose_tokenizer(out, texts["train"], tokenizer, vocab_size, resume)
        torch.manual_seed(seed)
        model = Decoder(words.get_vocab_size(), block_size, embedding_dim=embedding_dim,
                        num_heads=num_heads, num_layers=num_layers, dropout=dropout)
        batches = Windows(encode_all(texts["train"], words), block_size, batch_size, seed)
        accelerator = make_accelerator()
        typer.echo(f"training on {accelerator.device} ({accelerator.mixed_precision}), {len(batches.tokens):,} tokens")
        with Checkpoints(out / "checkpoints", every=max(1, min(200, steps // 5))) as checkpoints:
            history = train(model, batches, language_loss, steps=steps, learning_rate=learning_rate,
                            accelerator=accelerator, checkpoints=checkpoints, seed=seed)
        save_model(out, model, words)
        measured = per_text(model, words, texts["validation"])
        finish(out, {"task": "decoder", "steps": steps,
                     "tokens": steps * batches.batch_size * block_size, "seconds": history.seconds,
                     "train_loss": history.losses[-1], "validation_loss": measured["nats_per_token"],
                     "validation": measured, "test": per_text(model, words, texts["test"]),
                     "overlap": overlap(texts["train"], texts["test"])})


@app.command()
def train_classifier(
    out: Out, train_on: Annotated[Optional[Path], typer.Option("--train", help="label<TAB>text lines, or a CSV with columns label and text; without it, sentences of Python's documentation.")] = None,
    test: Test = None, tokenizer: Kind = "word", vocab_size: int = 4096, block_size: int = 64,
    embedding_dim: int = 64, num_heads: int = 4, num_layers: int = 2, dropout: float = 0.2,
    hidden_dim: int = 64, steps: int = 400, batch_size: int = 32, learning_rate: float = 3e-3, seed: int = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in out.")] = False,
):
    """Train a text classifier on labelled lines."""
    with plain_errors():
        split = make_split(train_on, test, read_labelled, which_library)
        labels = sorted({p.label for p in (*split.train, *split.validation)})
        if len(labels) < 2:
            raise ValueError(f"train must hold at least two labels, it has {labels}")
        texts = [p.text for p in split.train]
        words = choose_tokenizer(out, texts, tokenizer, vocab_size, resume)
        torch.manual_seed(seed)
        encoder = Encoder(words.get_vocab_size(), block_size, embedding_dim=embedding_dim,
                          num_heads=num_heads, num_layers=num_layers, dropout=dropout)
        model = EncoderClassifier(encoder, Classifier(embedding_dim, hidden_dim, len(labels)))
        batches = Sentences(split.train, words, labels, block_size, batch_size, seed)
        accelerator = make_accelerator()
        typer.echo(f"training on {accelerator.device} ({accelerator.mixed_precision}), {len(texts):,} texts, labels {labels}")
        with Checkpoints(out / "checkpoints", every=max(1, min(200, steps // 5))) as checkpoints:
            history = train(model, batches, classification_loss, steps=steps, learning_rate=learning_rate,
                            accelerator=accelerator, checkpoints=checkpoints, seed=seed)
        save_model(out, model, words, labels)
        seen = {" ".join(text.lower().split()) for text in texts}
        validation = per_class(model, words, labels, split.validation, seen)
        finish(out, {"task": "classifier", "steps": steps, "seconds": history.seconds,
                     "tokens": steps * batches.batch_size * int(batches.lengths.float().mean()),
                     "train_loss": history.losses[-1], "validation": validation,
                     "test": per_class(model, words, labels, split.test, seen),
                     "overlap": overlap(texts, [p.text for p in split.test])})


def load(folder: Path, wanted: type) -> Loaded:
    """Load a model of the wanted class, on the CPU."""
    loaded = load_model(folder)
    if not isinstance(loaded.model, wanted):
        raise ValueError(f"folder: {str(folder)!r} holds a {type(loaded.model).__name__}, "
                         f"this command needs a {wanted.__name__}")
    return loaded


@app.command()
def generate(
    folder: Path, prompt: str = "", tokens: int = 100, temperature: float = 0.8,
    top_k: Optional[int] = None, top_p: Optional[float] = None, seed: Optional[int] = None,
):
    """Write on after a prompt, with a trained decoder."""
    with plain_errors():
        loaded = load(folder, Decoder)
        typer.echo(prompt, nl=False)
        for piece in generate_text(loaded.model, loaded.tokenizer, prompt, tokens=tokens,
                                   temperature=temperature, top_k=top_k, top_p=top_p, seed=seed):
            typer.echo(piece, nl=False)
            sys.stdout.flush()
        typer.echo()


@app.command()
def classify(
    folder: Path,
    text: Annotated[Optional[list[str]], typer.Option(help="A text; may be given several times.")] = None,
    file: Annotated[Optional[Path], typer.Option(help="A file with a text a line.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON a text.")] = False,
):
    """Say which class texts belong to, with a trained classifier."""
    with plain_errors():
        if (text is None) == (file is None):
            raise ValueError("text or file must be given, and not both")
        lines = text if file is None else [p.text for p in read_lines(file)]
        loaded = load(folder, EncoderClassifier)
        size = loaded.model.encoder.sizes["block_size"]
        for line in lines:
            ids = loaded.tokenizer.encode(line, add_special_tokens=False).ids[:size]
            if not ids:
                raise ValueError(f"text must hold at least one token, got {line!r}")
            with torch.inference_mode():
                found = loaded.model(torch.tensor([ids]), return_attention=False)[0][0].exp()
            best = int(found.argmax())
            if as_json:
                typer.echo(json.dumps({"text": line, "label": loaded.labels[best], "probabilities": dict(
                    zip(loaded.labels, found.tolist(), strict=True))}))
            else:
                typer.echo(f"{loaded.labels[best]}\t{float(found[best]):.3f}\t{line}")


def read_lines(file: Path) -> list[Passage]:
    """The lines of a text file that are not empty."""
    return [Passage(line, file.name) for passage in read_text(file)
            for line in passage.text.splitlines() if line.strip()]


@app.command()
def evaluate(folder: Path, test: Annotated[Path, typer.Option(help="Text, or labelled lines for a classifier.")]):
    """Judge a trained model on a text; print one line of JSON."""
    with plain_errors():
        loaded = load_model(folder)
        if isinstance(loaded.model, Decoder):
            results = per_text(loaded.model, loaded.tokenizer, [p.text for p in read_text(test)])
        else:
            results = per_class(loaded.model, loaded.tokenizer, loaded.labels, read_labelled(test), set())
        typer.echo(json.dumps(results))


if __name__ == "__main__":
    app()

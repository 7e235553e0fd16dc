"""Values that people pass: a table, run without the tests' own checks of types.

    python -m tests.values             each line of the table, as JSON: name, outcome, message
    python -m tests.values fuzz 600    ten minutes of random input; prints what raised something else

A line is (name, call, words): the call must raise ValueError or OSError with a message that
holds the words, or, where words is None, must work.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from transformer_lib import (
    Classifier,
    Decoder,
    Encoder,
    EncoderClassifier,
    load_model,
    load_tokenizer,
    save_model,
    train_tokenizer,
)
from transformer_lib.batches import Sentences, Windows, encode_all
from transformer_lib.checkpoints import Checkpoints
from transformer_lib.evaluation import (
    accuracy,
    bag_of_words,
    compare,
    cross_entropy,
    per_class,
    per_text,
    predict,
    standard_error,
)
from transformer_lib.files import read_table, read_text
from transformer_lib.ngrams import KneserNey
from transformer_lib.sampling import generate, probabilities
from transformer_lib.saving import read_checkpoint
from transformer_lib.splits import hold_out, overlap, split_by_source
from transformer_lib.text import Passage

ALLOWED = (ValueError, OSError, FloatingPointError)
FOLDER = Path(tempfile.mkdtemp())
TEXTS = ["the cat sat on the mat .", "a dog ran to the road ."] * 6
TOKENIZER = train_tokenizer(TEXTS, "word", 64)
V = TOKENIZER.get_vocab_size()
SIZES = dict(embedding_dim=8, num_heads=2, num_layers=1)
DECODER = Decoder(V, 8, **SIZES).eval()
READER = EncoderClassifier(Encoder(V, 8, **SIZES), Classifier(8, 8, 2)).eval()
ROWS = [Passage(text, str(i), "ab"[i % 2]) for i, text in enumerate(TEXTS)]
IDS = encode_all(TEXTS, TOKENIZER)
LONE = "Caf\udcc3"

Line = tuple[str, Callable[[], object], str | None]


def file(name: str, content: bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(content)
    return path


def table() -> Iterator[Line]:
    """Every line. The words are what a reader of the message needs: the argument, and more."""
    for name, kind in (("a string", "one sentence"), ("bytes", b"x"), ("numbers", [1, 2])):
        yield f"train_tokenizer: {name}", lambda k=kind: train_tokenizer(k), "texts must be a list"
        yield f"encode_all: {name}", lambda k=kind: encode_all(k, TOKENIZER), "texts must be a list"
        yield f"overlap: {name}", lambda k=kind: overlap(k, ["a"]), "train must be a list"
    yield "train_tokenizer: empty", lambda: train_tokenizer([]), "texts must hold"
    yield "train_tokenizer: half a character", lambda: train_tokenizer([LONE]), "half a character"
    yield "train_tokenizer: kind", lambda: train_tokenizer(TEXTS, "syllable"), "kind must be"
    yield "train_tokenizer: size", lambda: train_tokenizer(TEXTS, "word", 2), "vocab_size must be"
    yield "train_tokenizer: numpy size", lambda: train_tokenizer(TEXTS, "word", np.int64(20)), None
    yield (
        "load_tokenizer: missing",
        lambda: load_tokenizer(FOLDER / "none"),
        "there is no tokenizer",
    )

    for name, value in (("0", 0), ("a float", 2.5), ("a text", "3"), ("negative", -1)):
        yield f"Windows: block_size {name}", lambda v=value: Windows(IDS, v, 2), "block_size"
        yield f"Windows: batch_size {name}", lambda v=value: Windows(IDS, 4, v), "batch_size"
        yield (
            f"cross_entropy: stride {name}",
            lambda v=value: cross_entropy(DECODER, IDS, stride=v),
            "stride must be a whole number",
        )
        yield (
            f"cross_entropy: batch_size {name}",
            lambda v=value: cross_entropy(DECODER, IDS, batch_size=v),
            "batch_size must be a whole number",
        )
    yield "Windows: too long", lambda: Windows(IDS, 4000, 2), "tokens must hold at least"
    yield "Windows: numpy sizes", lambda: Windows(IDS, np.int64(4), np.int32(2)), None
    yield "Sentences: none", lambda: Sentences([], TOKENIZER, ["a"], 8, 2), "passages must hold"
    yield (
        "Sentences: a strange label",
        lambda: Sentences(ROWS, TOKENIZER, ["a", "c"], 8, 2),
        "labels must be among",
    )

    yield "cross_entropy: one token", lambda: cross_entropy(DECODER, IDS[:1]), "at least 2 ids"
    yield "cross_entropy: two rows", lambda: cross_entropy(DECODER, IDS[None]), "at least 2 ids"
    yield "cross_entropy: a list", lambda: cross_entropy(DECODER, IDS.tolist()), None
    yield (
        "cross_entropy: strange ids",
        lambda: cross_entropy(DECODER, IDS + V),
        "must be ids from 0",
    )
    yield (
        "cross_entropy: floats",
        lambda: cross_entropy(DECODER, IDS.float()),
        "must be whole numbers",
    )
    yield (
        "cross_entropy: numpy stride",
        lambda: cross_entropy(DECODER, IDS, stride=np.int64(2)),
        None,
    )
    yield (
        "per_text: a string",
        lambda: per_text(DECODER, TOKENIZER, TEXTS[0]),
        "texts must be a list",
    )
    yield "per_class: none", lambda: per_class(READER, TOKENIZER, ["a", "b"], [], set()), "passages"
    integers = [Passage(p.text, p.source, {"a": "0", "b": "1"}[p.label]) for p in ROWS]
    yield (
        "per_class: labels of whole numbers",
        lambda: per_class(READER, TOKENIZER, [0, 1], integers, set()),
        None,
    )
    yield "accuracy and predict", lambda: (accuracy(READER, rows()), predict(READER, rows())), None
    yield (
        "predict: an ordinary tensor",
        lambda: predict(READER, rows()).float().requires_grad_(),
        None,
    )
    yield "standard_error: none", lambda: standard_error([]), "values must be at least one"
    yield "standard_error: nan", lambda: standard_error([1.0, math.nan]), "finite"
    yield "standard_error: sources", lambda: standard_error([1.0, 2.0], ["a"]), "sources must name"
    yield "standard_error: booleans", lambda: standard_error([True, False]), None
    yield "standard_error: numpy", lambda: standard_error(np.ones(3)), None
    yield "compare: lengths", lambda: compare([1.0], [1.0, 2.0]), "first and second must be"
    yield "bag_of_words", lambda: bag_of_words(ROWS, ROWS[:2], TOKENIZER), None

    yield "save_model: another model", lambda: save("m", torch.nn.Linear(2, 2)), "model must be"
    yield "save_model: no tokenizer", lambda: save_model(FOLDER / "m", DECODER, "char"), "tokenizer"
    yield "save_model: numpy labels", lambda: save("l", READER, list(np.unique([0, 1]))), None
    yield "save_model: one name twice", lambda: save("m", READER, ["a", "a"]), "labels must name"
    yield "save_model: a string", lambda: save("m", READER, "ab"), "labels must name"
    yield "save_model: labels missing", lambda: save("m", READER), "labels must name the 2 classes"
    numpy_sizes = {name: np.int64(size) for name, size in SIZES.items()}
    yield "Decoder: numpy sizes", lambda: save("n", Decoder(np.int64(V), 8, **numpy_sizes)), None
    yield "Decoder: a float size", lambda: Decoder(30, 8.0, **SIZES), "block_size"
    yield "Decoder: a text as size", lambda: Decoder("30", 8, **SIZES), "vocab_size"
    yield "load_model: missing", lambda: load_model(FOLDER / "none"), "folder: "
    yield "load_model: a file", lambda: load_model(file("x", b"x")), "folder: "
    yield (
        "read_checkpoint: binary",
        lambda: read_checkpoint(file("y", b"\x80\x04")),
        "cannot be read",
    )
    yield "read_checkpoint: empty", lambda: read_checkpoint(file("z", b"")), "cannot be read"
    yield "read_checkpoint: missing", lambda: read_checkpoint(FOLDER / "none"), "cannot be read"
    yield "Checkpoints: every 0", lambda: Checkpoints(FOLDER / "c", every=0), "every and keep"
    yield (
        "Checkpoints: settings",
        lambda: Checkpoints(FOLDER / "c", settings={"a": {1}}),
        "settings",
    )
    yield "Checkpoints: a file", lambda: Checkpoints(file("w", b"") / "c"), "cannot be made"

    yield "read_text: missing", lambda: read_text("none.txt"), "there is no file or folder"
    yield "read_text: empty", lambda: read_text(file("e.txt", b"")), "e.txt"
    yield "read_text: binary", lambda: read_text(file("b.txt", b"\xff\x00\xfe\x81")), "b.txt"
    yield "read_table: no tab", lambda: read_table(file("t.tsv", b"a b\nc d\n")), "t.tsv"
    yield "read_table: binary", lambda: read_table(file("b.tsv", b"a\t\xff\xfe\n")), "b.tsv"
    yield "read_table: a column", lambda: read_table(file("c.tsv", b"a\tb\n"), text_column="x"), "x"
    yield "hold_out: none", lambda: hold_out([]), "passages"
    yield "hold_out: a share", lambda: hold_out(ROWS, 1.5), "share must be"
    yield "split_by_source: shares", lambda: split_by_source(ROWS, test=1.5), "shares from 0"
    yield "overlap: words", lambda: overlap(["a"], ["a"], words=0), "words must be at least 1"

    yield "KneserNey: order", lambda: KneserNey(0, V), "order"
    yield "KneserNey: strange ids", lambda: KneserNey(2, 3).fit(IDS), "tokens must be ids"
    yield "KneserNey: not fitted", lambda: KneserNey(2, V).log_probs(IDS), "fit"
    write = dict(max_new_tokens=2)
    yield "generate", lambda: list(generate(DECODER, TOKENIZER, "the", **write)), None
    for option, value in (
        ("temperature", -1),
        ("temperature", math.nan),
        ("top_k", 0),
        ("top_p", 0),
    ):
        given = write | {option: value}
        yield (
            f"generate: {option} {value}",
            lambda g=given: list(generate(DECODER, TOKENIZER, "the", **g)),
            f"{option} must be",
        )
    logits = torch.zeros(1, 4)
    yield "probabilities: top_p nan", lambda: probabilities(logits, top_p=math.nan), "top_p must be"


def rows() -> Sentences:
    return Sentences(ROWS, TOKENIZER, ["a", "b"], 8, 4)


def save(name: str, model, labels=None) -> None:
    save_model(FOLDER / name, model, TOKENIZER, labels)


def outcome(call: Callable[[], object]) -> tuple[str, str]:
    try:
        call()
    except Exception as error:
        return type(error).__name__, str(error)
    return "works", ""


def fuzz(seconds: float) -> list[str]:
    """Random files, texts and numbers; what raised anything but one of ALLOWED."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from typer.testing import CliRunner

    from transformer_lib.command_line import app

    content = st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")),
        st.lists(
            st.lists(st.text(max_size=9), min_size=1, max_size=4).map("\t".join), max_size=9
        ).map(lambda rows: "\n".join(rows).encode("utf-8", "surrogatepass")),
    )
    number = st.one_of(st.integers(), st.floats(), st.none(), st.text(max_size=3), st.booleans())
    save("fuzzed", DECODER)
    saved = {p.name: p.read_bytes() for p in (FOLDER / "fuzzed").iterdir()}
    found: list[str] = []

    def tried(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except ALLOWED:
            pass
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")

    def files(data: bytes, ending: str) -> None:
        path = file("fuzz" + ending, data)
        tried(f"read_text {data!r}", lambda: read_text(path))
        tried(f"read_table {data!r}", lambda: read_table(path))
        tried(f"read_checkpoint {data!r}", lambda: read_checkpoint(path))

    def damaged(name: str, at: int, byte: int) -> None:
        spoiled = bytearray(saved[name])
        spoiled[at % len(spoiled)] = byte
        file(f"fuzzed/{name}", bytes(spoiled))
        tried(f"load_model {name} {at} {byte}", lambda: load_model(FOLDER / "fuzzed"))
        file(f"fuzzed/{name}", saved[name])

    def numbers(a, b, texts) -> None:
        tried(f"Windows {a!r} {b!r}", lambda: Windows(IDS, a, b))
        tried(
            f"cross_entropy {a!r} {b!r}",
            lambda: cross_entropy(DECODER, IDS, stride=a, batch_size=b),
        )
        tried(f"settings {a!r}", lambda: Checkpoints(FOLDER / "f", settings={"a": a, "b": b}))
        tried(f"labels {a!r} {b!r}", lambda: save("fl", READER, [a, b]))
        tried(f"encode_all {texts!r}", lambda: encode_all(texts, TOKENIZER))
        tried(f"overlap {texts!r}", lambda: overlap(texts, texts))

    def command(text: str, option: str, value) -> None:
        line = ["generate", str(FOLDER / "fuzzed"), "--prompt", text, f"--{option}={value}"]
        done = CliRunner().invoke(app, [*line, "--tokens=2"] if option != "tokens" else line)
        if done.exit_code not in (0, 2):
            found.append(f"{line}: exit {done.exit_code}, {done.exception!r}")

    options = st.sampled_from(["temperature", "top-k", "top-p", "seed", "tokens"])
    small = st.one_of(st.integers(-3, 50), st.floats(), st.text(max_size=3))
    quick = settings(max_examples=50, deadline=None, database=None,
                     suppress_health_check=list(HealthCheck))  # fmt: skip
    parts = [
        given(content, st.sampled_from([".txt", ".tsv", ".csv", ".jsonl"]))(files),
        given(st.sampled_from(sorted(saved)), st.integers(0), st.integers(0, 255))(damaged),
        given(number, number, st.one_of(st.text(), st.lists(st.text(max_size=9), max_size=3)))(
            numbers
        ),
        given(st.text(max_size=20), options, small)(command),
    ]
    parts = [quick(part) for part in parts]
    end = time.monotonic() + seconds
    while time.monotonic() < end and not found:
        for part in parts:
            part()
            if time.monotonic() > end:
                break
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["fuzz"]:
        print(json.dumps(fuzz(float(sys.argv[2]))))
    else:
        lines = [(name, *outcome(call), words) for name, call, words in table()]
        print(json.dumps(lines))

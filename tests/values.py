"""Values that people pass: a table, run without the tests' own checks of types.

    python -m tests.values        each line of the table: name, outcome, message, words
    python -m tests.values 600    and then random input for ten minutes of a processor: what raised something else

Both are printed as one pair, in JSON.

A line is (name, call, words): the call must raise ValueError or OSError with a message that
holds the words, or, where words is None, must work.
"""

import copy
import io
import json
import math
import os
import sys
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import torch
import typer

from transformer_lib import (
    Classifier,
    Decoder,
    Encoder,
    EncoderClassifier,
    load_model,
    load_tokenizer,
    save_model,
    train,
    train_tokenizer,
    view_attention,
)
from transformer_lib.attention_head import AttentionHead, attention_weights
from transformer_lib.batches import Sentences, Windows, encode_all, encode_labels, pad, shuffled
from transformer_lib.block import Block, init_weights
from transformer_lib.checkpoints import Best, Checkpoints
from transformer_lib.command_line import classify, generate_text, train_classifier, train_decoder
from transformer_lib.defaults import check_settings, hide_rare
from transformer_lib.devices import make_accelerator, microbatch
from transformer_lib.evaluation import (
    accuracy,
    bag_of_words,
    class_log_probs,
    class_probabilities,
    compare,
    cross_entropy,
    evaluating,
    per_class,
    per_sentence,
    per_text,
    predict,
    standard_error,
    token_losses,
)
from transformer_lib.feed_forward import FeedForward
from transformer_lib.figures import draw_model, heatmap
from transformer_lib.files import fetch, read_text
from transformer_lib.kv_cache import KVCache
from transformer_lib.multi_head_attention import MultiHeadAttention
from transformer_lib.ngrams import KneserNey, perplexity_of
from transformer_lib.optimizers import Muon, WeightAverage, make_optimizers, orthogonalize
from transformer_lib.pretraining import (
    MaskedLanguageModel,
    MaskedWindows,
    finetuning_loss,
    mask_tokens,
    masked_loss,
    without_sources,
)
from transformer_lib.report import by_heart, verdict
from transformer_lib.sampling import generate, probabilities, sample_next_token, stream
from transformer_lib.saving import build, checksum, load_stored, read_checkpoint, write_checkpoint
from transformer_lib.seeing_attention import (
    ablation,
    entropy,
    gradient_times_input,
    rank_correlation,
    weight_on,
)
from transformer_lib.splits import (
    file_of,
    hold_out,
    overlap,
    python_prose,
    split_by_source,
    stable_hash,
    which_library,
)
from transformer_lib.tables import read_labelled, read_table
from transformer_lib.text import (
    Passage,
    count_words,
    normalize_text,
    python_documentation,
    sentences,
)
from transformer_lib.tokens import unknown_share
from transformer_lib.training import History, classification_loss, language_loss, schedule

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


TWENTY = [Passage(f"number {i}", f"s{i}") for i in range(20)]


def all_of(parts) -> None:
    """All twenty are in one part or another."""
    parts = parts if isinstance(parts, tuple) else vars(parts).values()
    assert sorted(p.source for part in parts for p in part) == sorted(p.source for p in TWENTY)


def of_views() -> Iterator[Line]:
    """What `view_attention` is given."""
    names, maps = ["a", "b", "c"], [torch.eye(3).expand(2, 4, 3, 3)] * 2
    called = lambda *a, **k: lambda: view_attention(*a, **k)._repr_html_()  # noqa: E731
    for name, tokens, given in (
        ("works", names, maps), ("a tuple", tuple(names), tuple(maps)), ("one head", ["a"], [torch.ones(1, 1, 1)]),
        ("numpy", names, [m.numpy() for m in maps]), ("bfloat16", names, [m.bfloat16() for m in maps]),
        ("half a character", ["a", LONE, ""], maps),
    ):  # fmt: skip
        yield f"view_attention: {name}", called(tokens, given), None
    for name, tokens in (("a string", "abc"), ("none", []), ("numbers", [1, 2, 3]), ("None", None)):
        yield f"view_attention: tokens, {name}", called(tokens, maps), "tokens must be"
    spoiled = [maps[0], maps[1].clone().fill_(math.nan)]
    for name, given, words in (
        ("None", None, "a NoneType"), ("empty", [], "got a list"), ("one tensor", maps[0], "the list of maps"),
        ("fewer tokens", [torch.eye(2)[None]], "(B, H, 3, 3)"), ("flat", [torch.eye(3)], "(H, 3, 3) a layer"),
        ("uneven heads", [maps[0], maps[1][:, :2]], "equal numbers of heads"), ("scores", [maps[0] * 9], "from 0 to 1"),
        ("not a number", spoiled, "from 0 to 1"), ("no heads", [torch.zeros(0, 3, 3)], "heads"), ("texts", ["a"], "maps must hold numbers"),
    ):  # fmt: skip
        yield f"view_attention: maps, {name}", called(names, given), words
    for name, options, words in (
        ("row", {"row": 2}, "row must be from 0 to 1"), ("row, a text", {"row": "a"}, "row must be"), ("mask, a list", {"padding_mask": [1, 1, 0]}, "padding_mask must be a bool"),
        ("mask, numbers", {"padding_mask": torch.ones(3)}, "padding_mask must be a bool"),
        ("mask, length", {"padding_mask": torch.ones(2, dtype=torch.bool)}, "of shape (3,) or (B, 3)"),
        ("mask, no token", {"padding_mask": torch.zeros(3, dtype=torch.bool)}, "True at a real token"),
        ("head_effects", {"head_effects": torch.zeros(4, 2)}, "of shape (2, 4), got (4, 2)"),
        ("token_effects", {"token_effects": [0.0, math.inf, 1.0]}, "token_effects must be finite"),
        ("token_effects, texts", {"token_effects": ["a", "b", "c"]}, "token_effects must hold"),
    ):  # fmt: skip
        yield f"view_attention: {name}", called(names, maps, **options), words
    even = [torch.full((1, 3, 3), 1 / 3)]
    yield "view_attention: causal", called(names, even, causal=True), "causal must be None or False"
    yield (
        "view_attention: causal, a text",
        called(names, even, causal="no"),
        "causal must be True, False or None",
    )
    seen = {"padding_mask": torch.tensor([True, True, False])}
    yield (
        "view_attention: rows",
        called(names, [even[0] * 2]),
        "each row of maps must sum to 1, got sums from 2 to 2",
    )
    yield (
        "view_attention: mask, the model had none",
        called(names, even, **seen),
        "of the real tokens must sum to 1, got sums from 0.667",
    )
    yield (
        "view_attention: a row that is all masked",
        called(names, [torch.eye(3)[None] * torch.tensor([[0], [1], [1]])]),
        None,
    )


def of_other_kinds() -> Iterator[Line]:
    """Numbers of NumPy and PyTorch work as Python's do; what is of another kind is named."""

    def trained(batch: object, loss_fn: Callable = language_loss) -> Callable[[], object]:
        return lambda: train(Decoder(V, 8, **SIZES), lambda step: batch, loss_fn, steps=1)

    for kind in (np.int64, np.int32, torch.tensor):
        write = dict(max_new_tokens=kind(2), top_k=kind(3), seed=kind(5))
        yield (
            f"generate: {kind.__name__}",
            lambda w=write: list(generate(DECODER, TOKENIZER, "the", **w)),
            None,
        )
        yield f"Windows: step {kind.__name__}", lambda k=kind: Windows(IDS, 4, 2)(k(3)), None
        yield f"Sentences: step {kind.__name__}", lambda k=kind: rows()(k(3)), None
        yield (
            f"standard_error: {kind.__name__}",
            lambda k=kind: standard_error([1.0, 2.0], draws=k(3), seed=k(1)),
            None,
        )
        yield f"overlap: {kind.__name__}", lambda k=kind: overlap(["a b"], ["a"], k(1)), None
    yield "cross_entropy: int32", lambda: cross_entropy(DECODER, IDS.int()), None
    yield "overlap: more words than any text has", lambda: overlap(["a"], ["a"], 10**12), None
    yield (
        "heatmap: signs of maths",
        lambda: drawn([[1, 2]], ["$$"], ["$x$", "\n"], title="$_"),
        None,
    )
    yield (
        "heatmap: any text",
        lambda: drawn(np.ones((2, 3)), ["", "\u05e9\u05dc"], ["\0", LONE, "a" * 9999]),
        None,
    )
    yield (
        "heatmap: numbers as names",
        lambda: drawn(torch.ones(2, 2) > 0, range(2), np.arange(2)),
        None,
    )
    yield (
        "view_attention: large",
        lambda: view_attention(["$"] * 1100, [torch.ones(16, 1100, 1100) / 1100])._repr_html_(),
        None,
    )
    yield "split: a name of other bytes", lambda: split_by_source([Passage("a", LONE)]), None
    yield (
        "split: passages that come one by one",
        lambda: all_of(split_by_source(iter(TWENTY))),
        None,
    )
    yield "hold_out: passages that come one by one", lambda: all_of(hold_out(iter(TWENTY))), None
    named = {"a file that is not UTF-8": os.fsencode(FOLDER) + b"/caf\xc3.txt"}
    Path(os.fsdecode(named["a file that is not UTF-8"])).write_text("a text")
    yield (
        "read_text: a name of other bytes",
        lambda: read_text(os.fsdecode(*named.values()))[0].source.encode(),
        None,
    )
    for name, words, call in (
        ("heatmap: a row", "matrix must have shape (R, C)", lambda: drawn([1, 2])),
        ("heatmap: empty", "matrix must have shape (R, C)", lambda: drawn(np.ones((0, 3)))),
        ("heatmap: a text", "matrix must hold numbers", lambda: drawn("ab")),
        ("heatmap: too few rows", "rows must be a list of 2 names", lambda: drawn(np.ones((2, 2)), ["a"])),
        ("heatmap: too many columns", "columns must be a list of 2 names", lambda: drawn(np.ones((2, 2)), (), "abc")),
        ("heatmap: a number", "rows must be a list of 2 names", lambda: drawn(np.ones((2, 2)), 2)),
        ("generate: no tokenizer", "tokenizer must be a tokenizers.Tokenizer", lambda: list(generate(DECODER, None, "a"))),
        ("generate: another model", "decoder must be a decoder, got a EncoderClassifier", lambda: list(generate(READER, TOKENIZER, "a"))),
        ("generate: a list", "prompt must be a string, got a list", lambda: list(generate(DECODER, TOKENIZER, ["a"]))),
        ("generate: half a character", "prompt must be valid Unicode", lambda: list(generate(DECODER, TOKENIZER, LONE))),
        ("generate: temperatures", "temperature must be", lambda: list(generate(DECODER, TOKENIZER, "a", temperature=np.ones(2)))),
        ("generate: seed", "seed must be a whole number", lambda: list(generate(DECODER, TOKENIZER, "a", seed=1.5))),
        ("generate: stop", "stop must be a list of ids", lambda: list(generate(DECODER, TOKENIZER, "a", stop=3))),
        ("generate: banned", "banned must be ids from 0", lambda: list(generate(DECODER, TOKENIZER, "a", banned=[V]))),
        ("generate: all banned", "banned must be ids from 0", lambda: list(generate(DECODER, TOKENIZER, "a", banned=range(V)))),
        ("stream: a row", "prompts must be rows of ids", lambda: list(stream(DECODER, [1, 2]))),
        ("probabilities: a list", "logits must be a tensor", lambda: probabilities([[1.0]])),
        ("probabilities: one row", "logits must have shape (B, V)", lambda: probabilities(torch.zeros(3))),
        ("probabilities: nan", "logits must hold no NaN", lambda: probabilities(torch.full((1, 3), math.nan))),
        ("encode_all: no tokenizer", "tokenizer must be", lambda: encode_all(["a"], None)),
        ("bag_of_words: one label", "train must hold two labels", lambda: bag_of_words(ROWS[:1], ROWS, TOKENIZER)),
        ("bag_of_words: texts", "train must be a list of Passages", lambda: bag_of_words(TEXTS, ROWS, TOKENIZER)),
        ("train_tokenizer: huge", "vocab_size must be below", lambda: train_tokenizer(TEXTS, "word", 2**70)),
        ("load_tokenizer: None", "path must be a path", lambda: load_tokenizer(None)),
        ("load_tokenizer: a long name", "path: 'aaaa", lambda: load_tokenizer("a" * 5000)),
        ("load_model: None", "folder must be a path", lambda: load_model(None)),
        ("save_model: a NUL", "folder: 'a", lambda: save_model("a\0", DECODER, TOKENIZER)),
        ("save_model: half a character", "labels must be valid Unicode", lambda: save("m", READER, ["a", LONE])),
        ("save_model: labels, a number", "labels must name", lambda: save("m", READER, 2)),
        ("Checkpoints: every, a text", "every must be a whole number", lambda: Checkpoints(FOLDER / "c", every="2")),
        ("Checkpoints: keep, a truth value", "keep must be a whole number", lambda: Checkpoints(FOLDER / "c", keep=True)),
        ("Checkpoints: settings, a list", "settings must be a dict", lambda: Checkpoints(FOLDER / "c", settings=[1])),
        ("Checkpoints: no text", "folder must be a path, got ''", lambda: Checkpoints("")),
        ("save_model: no text", "folder must be a path, got ''", lambda: save_model("", DECODER, TOKENIZER)),
        ("Checkpoints: None", "folder must be a path", lambda: Checkpoints(None)),
        ("read_checkpoint: None", "path must be a path, got NoneType", lambda: read_checkpoint(None)),
        ("Windows: a step before the first", "step must be a whole number, at least 0", lambda: Windows(IDS, 4, 2)(-1)),
        ("Windows: half a step", "step must be a whole number", lambda: Windows(IDS, 4, 2)(1.5)),
        ("Sentences: labels, a string", "labels must be a list", lambda: Sentences(ROWS, TOKENIZER, "ab", 8, 2)),
        ("Sentences: half a character", "texts of passages must be valid", lambda: Sentences([Passage(LONE, "s", "a")], TOKENIZER, ["a", "b"], 8, 2)),
        ("Sentences: no tokenizer", "tokenizer must be", lambda: Sentences(ROWS, None, ["a", "b"], 8, 2)),
        ("pad: numbers", "rows must be rows of ids", lambda: pad([1, 2])),
        ("pad: tables", "rows must be rows of ids", lambda: pad([[[1]], [[2]]])),
        ("split_by_source: None", "passages must be a list", lambda: split_by_source(None)),
        ("overlap: half a word", "words must be a whole number", lambda: overlap(["a"], ["a"], 2.5)),
        ("cross_entropy: another model", "model must be a decoder", lambda: cross_entropy(READER, IDS)),
        ("cross_entropy: a text", "tokens must be a row of ids", lambda: cross_entropy(DECODER, "abc")),
        ("per_text: nothing", "texts must hold at least one token", lambda: per_text(DECODER, TOKENIZER, ["", ""])),
        ("per_text: one empty text", "texts must hold at least one token", lambda: per_text(DECODER, TOKENIZER, [""])),
        ("per_class: a decoder", "model must be an EncoderClassifier", lambda: per_class(DECODER, TOKENIZER, ["a", "b"], ROWS, set())),
        ("per_class: labels, a string", "labels must be a list", lambda: per_class(READER, TOKENIZER, "ab", ROWS, set())),
        ("predict: a list", "sentences must be Sentences", lambda: predict(READER, TEXTS)),
        ("standard_error: texts", "values must be numbers", lambda: standard_error(["a"])),
        ("standard_error: seed", "seed must be a whole number", lambda: standard_error([1.0], seed="a")),
        ("compare: texts", "second must be numbers", lambda: compare([1.0], ["a"])),
        ("compare: nothing", "first must be at least one number", lambda: compare([], [])),
        ("compare: no number", "second must be at least one", lambda: compare([1.0], [math.nan])),
        ("Decoder: no cache", "cache must be a KVCache", lambda: DECODER(IDS[None, :2], cache=[], return_attention=False)),
        ("Decoder: a layer of a cache", "cache must be a KVCache, got a LayerCache", lambda: DECODER(IDS[None, :2], cache=KVCache(DECODER).layers[0], return_attention=False)),
        ("Block: a whole cache", "cache must be a layer of a KVCache, got a KVCache", lambda: Block(8, 2)(torch.zeros(1, 2, 8), cache=KVCache(DECODER), return_attention=False)),
        ("train: no model", "model must be a Module", lambda: train(None, Windows(IDS, 4, 2), language_loss, steps=1)),
        ("train: evaluate", "evaluate must be a function", lambda: train(DECODER, Windows(IDS, 4, 2), language_loss, steps=1, evaluate=3)),
        ("train: checkpoints", "checkpoints must be a Checkpoints", lambda: train(DECODER, Windows(IDS, 4, 2), language_loss, steps=1, checkpoints="x")),
        ("generate: an encoder", "decoder must be a decoder, got a Encoder", lambda: list(generate(READER.encoder, TOKENIZER, "a"))),
        ("stream: a masked model", "decoder must be a decoder, got a MaskedLanguageModel", lambda: list(stream(MaskedLanguageModel(READER.encoder), [[1]]))),
        ("stream: prompts, fractions", "prompts must hold whole numbers, got float64", lambda: list(stream(DECODER, [[1.0, 2.0]]))),
        ("language_loss: an encoder", "model must be a decoder, got a Encoder", lambda: language_loss(READER.encoder, Windows(IDS, 4, 2)(0))),
        ("train: no batch", "batches must be tuples of tensors, each with a row for each sequence, got None", trained(None)),
        ("train: an empty batch", "each with a row for each sequence, got ()", trained(())),
        ("train: a batch without its tuple", "batches must be tuples of tensors", trained(IDS[None, :4])),
        ("train: a dict", "batches must be tuples of tensors", trained({"tokens": IDS[None, :4]})),
        ("train: no mask", "batches must be tuples of tensors", trained((IDS[None, :4], None))),
        ("train: an array", "batches must be tuples of tensors", trained((IDS[None, :4].numpy(),))),
        ("train: a number in a batch", "batches must be tuples of tensors", trained((IDS[None, :4], torch.tensor(1.0)))),
        ("train: a list", None, trained([IDS[None, :4], IDS[None, 1:5]])),
        ("train: a loss that nothing moves", "loss_fn must return one number as a tensor, computed from weights that are not frozen", trained((IDS[None, :4],), lambda m, b: m(b[0]).logits.sum().detach())),
        ("train: loss", "loss_fn must return one number", lambda: train(Decoder(V, 8, **SIZES), Windows(IDS, 4, 2), lambda m, b: 1.0, steps=1)),
        ("make_accelerator: device", "device must be one of", lambda: make_accelerator(["cpu"])),
        ("make_accelerator: accumulate", "accumulate must be a whole number", lambda: make_accelerator("cpu", None, 1.5)),
        ("make_optimizers: rate", "learning_rate must be", lambda: make_optimizers(DECODER, "a")),
        ("check_settings: steps", "steps must be a whole number", lambda: check_settings({"steps": "a"})),
        ("check_settings: dropout", "dropout must be from 0", lambda: check_settings({"dropout": "a"})),
        ("check_settings: threads", "threads must be at most 1,024", lambda: check_settings({"threads": 100_000})),
        ("fetch: name", "name must be one of", lambda: fetch(["a"])),
        ("entropy: a list", "maps must be a tensor", lambda: entropy([[0.5, 0.5]])),
        ("entropy: no weights", "maps must hold weights from 0 to 1, got numbers from 3 to 4", lambda: entropy(torch.tensor([[3.0, 4.0]]))),
        ("entropy: NaN", "maps must hold weights from 0 to 1", lambda: entropy(torch.full((1, 2), math.nan))),
        ("KVCache: a text", "decoder must be of the class Decoder, got a str", lambda: KVCache("x")),
        ("KVCache: an encoder", "decoder must be of the class Decoder, got a Encoder", lambda: KVCache(READER.encoder)),
        ("microbatch: no parts", "parts must be a whole number, at least 1", lambda: microbatch((IDS[:4],), 0, 0)),
        ("microbatch: behind the last", "number must be a whole number, 0 to 1", lambda: microbatch((IDS[:4],), 5, 2)),
        ("ablation: two inputs", "tokens must have shape (1, T)", lambda: ablation(len, IDS[:4].view(2, 2), 0)),
        ("gradient_times_input: no table", "table must be an nn.Embedding", lambda: gradient_times_input(len, None, IDS[None])),
        ("gradient_times_input: two inputs", "tokens must have shape (1, T)", lambda: gradient_times_input(len, DECODER.token_embedding, IDS[:4].view(2, 2))),
        ("rank_correlation: lengths", "a and b must be two rows of equal", lambda: rank_correlation(torch.ones(2), torch.ones(3))),
    ):  # fmt: skip
        yield name, call, words
    one = torch.tensor
    for name, call in (
        ("Decoder", lambda: Decoder(one(V), one(8), embedding_dim=one(8), num_heads=one(2), num_layers=one(1))),
        ("Encoder", lambda: Encoder(one(V), one(8), embedding_dim=one(8), num_heads=one(2), num_layers=one(1))),
        ("Classifier", lambda: Classifier(one(8), one(8), one(2))),
    ):  # fmt: skip
        yield f"{name}: sizes of PyTorch", call, None
    cache = KVCache(DECODER)
    DECODER(IDS[None, :2], cache=cache, return_attention=False)
    more = IDS[:4].view(2, 2)
    other = Decoder(V, 8, **SIZES)
    deep = Decoder(V, 8, **SIZES | {"num_layers": 3})
    for name, call, words in (
        ("one row", lambda: DECODER(more, cache=cache, return_attention=False), "cache must be of as many rows, 2, got one of 1"),
        ("another decoder", lambda: other(IDS[None, :2], cache=cache, return_attention=False), "cache must be of this decoder"),
        ("fewer layers", lambda: deep(IDS[None, :2], cache=KVCache(DECODER), return_attention=False), "cache must be of this decoder, with 3 layers, got one with"),
    ):  # fmt: skip
        yield f"Decoder: a cache of {name}", call, words


def of_places() -> Iterator[Line]:
    """Numbers of another precision or on another device than the model's; queries and keys made by hand."""
    x, ids, mask = torch.zeros(2, 3, 8), torch.zeros(2, 3).long(), torch.ones(2, 3).bool()
    parts = {
        "AttentionHead": AttentionHead(8, 4),
        "MultiHeadAttention": MultiHeadAttention(8, 2),
        "FeedForward": FeedForward(8),
        "Block": Block(8, 2),
        "Classifier": Classifier(8, 8, 2),
    }
    for name, part in parts.items():
        given = x[0] if name == "Classifier" else x
        for kind in (torch.float64, torch.bfloat16, torch.float16):
            words = f"x must have the model's precision, torch.float32, got {kind}"
            yield f"{name}: {kind}", lambda p=part, g=given, k=kind: p(g.to(k)), words
        there = "x must be on the model's device, cpu, got meta"
        yield f"{name}: another device", lambda p=part, g=given: p(g.to("meta")), there
        twice = copy.deepcopy(part).double()
        yield f"{name}: all in float64", lambda p=twice, g=given: p(g.double()), None
    for name in ("AttentionHead", "MultiHeadAttention", "Block"):
        yield (
            f"{name}: a mask on another device",
            lambda p=parts[name]: p(x, mask.to("meta")),
            "padding_mask must be on the model's device, cpu, got meta",
        )
    for name, model in {
        "Encoder": READER.encoder,
        "Decoder": DECODER,
        "EncoderClassifier": READER,
    }.items():
        yield (
            f"{name}: tokens on another device",
            lambda m=model: m(ids.to("meta")),
            "tokens must be on the model's device, cpu, got meta",
        )
        yield (
            f"{name}: a mask on another device",
            lambda m=model: m(ids, padding_mask=mask.to("meta")),
            "padding_mask must be on the model's device, cpu, got meta",
        )
    yield (
        "Decoder: targets on another device",
        lambda: DECODER(ids, ids.to("meta")),
        "targets must be on the model's device, cpu, got meta",
    )
    with_autocast = lambda part, g: torch.autocast("cpu", torch.bfloat16)(part)(g)  # noqa: E731
    yield (
        "Block: bfloat16 under autocast",
        lambda: with_autocast(parts["Block"], x.bfloat16()),
        None,
    )
    yield (
        "Block: float64 under autocast",
        lambda: with_autocast(parts["Block"], x.double()),
        "x must have the model's precision",
    )
    q, k = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    for name, given, words in (
        ("a list", ([[1.0]], k), "q must be a tensor, got a list"),
        ("whole numbers", (q, k.long()), "k must hold floating-point numbers"),
        ("one dimension", (q[0, 0], k), "q must have shape"),
        ("no dimension", (q, k[0, 0, 0]), "k must have shape"),
        ("no keys", (q, k[:, :0]), "k must have shape"),
        ("another D", (q, k[..., :3]), "k must have the same batch and the same D as q"),
        ("another batch", (q, k[:1]), "k must have the same batch and the same D as q"),
        ("another precision", (q, k.double()), "k must have q's precision"),
        ("another device", (q, k.to("meta")), "k must be on q's device"),
        (
            "another precision elsewhere",
            (q.to("meta"), k.half().to("meta")),
            "k must have q's precision",
        ),
        ("a mask of numbers", (q, k, torch.ones(3, 5)), "mask must be a bool tensor"),
        ("a mask of another shape", (q, k, torch.ones(3, 4).bool()), "mask must be a bool tensor"),
        (
            "a mask elsewhere",
            (q, k, torch.ones(3, 5).bool().to("meta")),
            "mask must be on q's device",
        ),
        ("a mask for more", (q, k, torch.ones(4, 2, 3, 5).bool()), "mask must be a bool tensor"),
        (
            "a mask that would add a dimension",
            (q, k, torch.ones(1, 2, 3, 5).bool()),
            "mask must be a bool tensor",
        ),
        ("a mask as a list", (q, k, [[True]]), "mask must be a tensor, got a list"),
        ("a mask for all", (q, k, torch.ones(1, 5).bool()), None),
        ("one sentence", (q[0], k[0]), None),
    ):
        yield f"attention_weights: {name}", lambda g=given: attention_weights(*g), words
    yield (
        "init_weights: no layers",
        lambda: init_weights(DECODER, 0),
        "num_layers must be at least 1",
    )
    yield "init_weights: below 0", lambda: init_weights(DECODER, 1, -1.0), "std must be at least 0"
    yield (
        "init_weights: two numbers",
        lambda: init_weights(DECODER, 1, np.ones(2)),
        "std must be a plain number",
    )
    yield "init_weights: no model", lambda: init_weights([], 1), "model must be of the class Module"


def of_small_functions() -> Iterator[Line]:
    """Functions that a reader calls alone, and the library with what it has made itself."""
    config = {"model": "Decoder", "sizes": {"vocab_size": V, "block_size": 8, **SIZES}}
    reader = config | {"model": "EncoderClassifier"}
    both = torch.zeros(6)
    store = lambda *given: lambda: write_checkpoint(*given)  # noqa: E731
    for name, words, call in (
        ("normalize_text: None", "text must be a string, got a NoneType", lambda: normalize_text(None)),
        ("normalize_text: a list", "text must be a string, got a list", lambda: normalize_text(["a"])),
        ("normalize_text: bytes", "text must be a string, got a bytes", lambda: normalize_text(b"a")),
        ("sentences: a string", "passages must be a list", lambda: sentences("One. Two.")),
        ("sentences: None", "passages must be a list", lambda: sentences(None)),
        ("sentences: texts", "passages must be a list", lambda: sentences(TEXTS)),
        ("sentences: a text as length", "shortest and longest must be", lambda: sentences(ROWS, "5")),
        ("sentences: nan", "shortest and longest must be", lambda: sentences(ROWS, math.nan)),
        ("sentences: None as length", "shortest and longest must be", lambda: sentences(ROWS, 5, None)),
        ("sentences: nothing between", "the second not below the first, got 9 and 5", lambda: sentences(ROWS, 9, 5)),
        ("sentences: below 0", "shortest and longest must be", lambda: sentences(ROWS, -1)),
        ("sentences: no upper bound", None, lambda: sentences(ROWS, 5, math.inf)),
        ("count_words: a string", "texts must be a list", lambda: count_words("one text")),
        ("count_words: None", "texts must be a list", lambda: count_words(None)),
        ("count_words: numbers", "texts must be a list", lambda: count_words([1])),
        ("count_words: none", None, lambda: count_words([])),
        ("file_of: a string", "passage must be a Passage, got a str", lambda: file_of("a.py:b")),
        ("file_of: None", "passage must be a Passage, got a NoneType", lambda: file_of(None)),
        ("shuffled: a text", "count must be a whole number", lambda: shuffled("9", 0, 0)),
        ("shuffled: negative", "count must be a whole number, at least 0, got -1", lambda: shuffled(-1, 0, 0)),
        ("shuffled: half a count", "count must be a whole number", lambda: shuffled(1.5, 0, 0)),
        ("shuffled: seed, a text", "seed must be a whole number, got '5'", lambda: shuffled(9, "5", 0)),
        ("shuffled: seed, half", "seed must be a whole number", lambda: shuffled(9, 1.5, 0)),
        ("shuffled: seed, nan", "seed must be a whole number", lambda: shuffled(9, math.nan, 0)),
        ("shuffled: epoch, None", "epoch must be a whole number", lambda: shuffled(9, 0, None)),
        ("shuffled: numpy", None, lambda: shuffled(np.int64(9), np.int32(1), np.int64(2))),
        ("shuffled: nothing", None, lambda: shuffled(0, 0, 0)),
        ("schedule: step, a text", "step must be a whole number, 0 to 10, got '1'", lambda: schedule("1", 10, 2)),
        ("schedule: step, None", "step must be a whole number", lambda: schedule(None, 10, 2)),
        ("schedule: step, behind the last", "step must be a whole number, 0 to 10, got 11", lambda: schedule(11, 10, 2)),
        ("schedule: steps, nan", "steps must be a whole number", lambda: schedule(1, math.nan, 2)),
        ("schedule: steps, 0", "steps must be a whole number, at least 1, got 0", lambda: schedule(0, 0, 0)),
        ("schedule: warmup, negative", "warmup must be a whole number, at least 0, got -1", lambda: schedule(1, 10, -1)),
        ("schedule: floor, nan", "floor must be from 0 to 1, got nan", lambda: schedule(1, 10, 2, math.nan)),
        ("schedule: floor, a text", "floor must be a plain number", lambda: schedule(1, 10, 2, "0.1")),
        ("schedule: floor, above 1", "floor must be from 0 to 1", lambda: schedule(1, 10, 2, 1.5)),
        ("schedule: numpy and PyTorch", None, lambda: schedule(np.int64(1), torch.tensor(10), 2)),
        ("hide_rare: a list", "tokens must be a tensor, got a list", lambda: hide_rare([4, 5], V)),
        ("hide_rare: floats", "tokens must be whole numbers", lambda: hide_rare(IDS.float(), V)),
        ("hide_rare: below 0", "tokens must be ids from 0", lambda: hide_rare(IDS - V, V)),
        ("hide_rare: strange ids", "tokens must be ids from 0", lambda: hide_rare(IDS.clone(), 3)),
        ("hide_rare: size, a text", "vocab_size must be a whole number", lambda: hide_rare(IDS.clone(), str(V))),
        ("hide_rare: every second", "tokens must be contiguous", lambda: hide_rare(IDS.clone()[::2], V)),
        ("hide_rare: none", None, lambda: hide_rare(IDS[:0].clone(), V)),
        ("checksum: None", "tensors must be a dict, got a NoneType", lambda: checksum(None)),
        ("checksum: a list", "tensors must be a dict, got a list", lambda: checksum([IDS])),
        ("checksum: no tensor", "tensors['a'] must be a tensor, got a list", lambda: checksum({"a": [1]})),
        ("checksum: a number as name", "names of tensors must be", lambda: checksum({1: IDS})),
        ("checksum: half a character", "names of tensors must be valid", lambda: checksum({LONE: IDS})),
        ("checksum: sparse", "tensors['a'] must hold all its numbers", lambda: checksum({"a": torch.eye(2).to_sparse()})),
        ("checksum: without numbers", "tensors['a'] must hold", lambda: checksum({"a": torch.ones(2, device="meta")})),
        ("checksum: metadata, a set", "metadata must hold what JSON can", lambda: checksum({"a": IDS}, {"b": {1}})),
        ("checksum: metadata, a text", "metadata must be a dict", lambda: checksum({"a": IDS}, "b")),
        ("checksum: no metadata", None, lambda: checksum({"a": IDS}, None)),
        ("write_checkpoint: path, None", "path must be a path", store(None, {"a": IDS}, {})),
        ("write_checkpoint: a folder", "could not be written", store(FOLDER, {"a": IDS}, {})),
        ("write_checkpoint: no folder", "could not be written", store(FOLDER / "no" / "a", {"a": IDS}, {})),
        ("write_checkpoint: a list", "tensors must be a dict", store(FOLDER / "v", [IDS], {})),
        ("write_checkpoint: metadata, None", "metadata must be a dict", store(FOLDER / "v", {"a": IDS}, None)),
        ("write_checkpoint: metadata, a tensor", "metadata must hold", store(FOLDER / "v", {"a": IDS}, {"b": IDS})),
        ("write_checkpoint: shared", "tensors must each have memory", store(FOLDER / "v", {"a": both, "b": both}, {})),
        ("write_checkpoint: a column", None, store(FOLDER / "v", {"a": both[::2]}, {})),
        ("write_checkpoint", None, store(FOLDER / "v", {"a": IDS}, {"b": 1})),
        ("build: None", "config must be a dict, got a NoneType", lambda: build(None)),
        ("build: a path", "config must be a dict, got a str", lambda: build("runs/mine/config.json")),
        ("build: empty", "config must be what config.json of a model holds: lacks 'sizes'", lambda: build({})),
        ("build: sizes, None", "config must be what config.json", lambda: build(config | {"sizes": None})),
        ("build: sizes, too few", "missing 1 required", lambda: build(config | {"sizes": {"vocab_size": V, **SIZES}})),
        ("build: no classifier", "lacks 'classifier'", lambda: build(reader)),
        ("build: dropout, None", "dropout must be", lambda: build(config | {"dropout": None})),
        ("build: another model", "model must be Decoder or EncoderClassifier, got 'GPT'", lambda: build(config | {"model": "GPT"})),
        ("build", None, lambda: build(config)),
        ("MaskedLanguageModel: None", "encoder must be of the class Encoder, got a NoneType", lambda: MaskedLanguageModel(None)),
        ("MaskedLanguageModel: a decoder", "encoder must be of the class Encoder", lambda: MaskedLanguageModel(DECODER)),
        ("MaskedLanguageModel: compiled", None, lambda: MaskedLanguageModel(torch.compile(READER.encoder))),
    ):  # fmt: skip
        yield name, call, words


def of_texts_to_runs() -> Iterator[Line]:
    """What stands around a model: labels, scores, losses, histories and the commands, called from Python."""
    table = file("rows.tsv", b"pos\ta good one\nneg\ta bad one\npos\tfine one\nneg\tno no\n")
    for name, metadata in (("foreign", {}), ("other", {"lowest": 1.0})):
        write_checkpoint(FOLDER / name, {"a": IDS}, metadata)
    save("decoder", DECODER)
    save("reader", READER, ["a", "b"])
    batch = tokens, mask, labels = rows()(0)
    window = IDS[None, :4], IDS[None, 1:5]
    ours = torch.tensor([1.0, 2.0, 3.0])
    best = lambda name, evaluate=lambda model: 1.0: Best(FOLDER / name, evaluate)  # noqa: E731
    judged = lambda labels: classification_loss(READER, (tokens, mask, labels))  # noqa: E731
    prose = file("prose.txt", table.read_bytes())
    decoder = lambda **given: refused(train_decoder, train_on=str(prose), **given)  # noqa: E731
    for name, words, call in (
        ("encode_labels: a set", "labels must be a list, got a set", lambda: encode_labels(ROWS, {"a", "b"})),
        ("encode_labels: one label twice", "labels must be different, got ['a', 'a', 'b']", lambda: encode_labels(ROWS, ["a", "a", "b"])),
        ("encode_labels: rows", "labels must be among [['a'], ['b']]", lambda: encode_labels(ROWS, [["a"], ["b"]])),
        ("encode_labels: one number", "labels must be a list, got a Tensor", lambda: encode_labels(ROWS, torch.tensor(1))),
        ("encode_labels: passages, one number", "passages must be a list, got a Tensor", lambda: encode_labels(torch.tensor(1), ["a"])),
        ("encode_labels: passages, texts", "passages must be a list of Passages", lambda: encode_labels(TEXTS, ["a"])),
        ("encode_labels: labels of whole numbers", None, lambda: encode_labels([Passage("a", "s", "1")], [0, 1])),
        ("stable_hash: seed, a text", "seed must be a whole number, got 'x'", lambda: stable_hash("a", "x")),
        ("stable_hash: seed, half", "seed must be a whole number, got 1.5", lambda: stable_hash("a", 1.5)),
        ("stable_hash: numpy", None, lambda: stable_hash("a", np.int64(1))),
        ("split_by_source: seed, None", "seed must be a whole number, got None", lambda: split_by_source(ROWS, seed=None)),
        ("which_library: none", "packages must name at least one", lambda: which_library([])),
        ("which_library: a string", "packages must be a list of texts", lambda: which_library("email")),
        ("which_library: no package", "packages: no sentence of ['none']", lambda: which_library(["email", "none"])),
        ("which_library: seed, a text", "seed must be a whole number, got 'x'", lambda: which_library(["email"], "x")),
        ("python_prose: seed, half", "seed must be a whole number, got 1.5", lambda: python_prose(1.5)),
        ("read_labelled: None", "path must be a path, got NoneType", lambda: read_labelled(None)),
        ("read_labelled: a folder", "is a folder", lambda: read_labelled(FOLDER)),
        ("read_labelled: text_column, half", "text_column must be a column of rows.tsv", lambda: read_labelled(table, text_column=1.5)),
        ("read_labelled: label_column, a list", "label_column must be a column of rows.tsv", lambda: read_labelled(table, label_column=[1])),
        ("read_labelled: one column twice", "must be two columns", lambda: read_labelled(table, text_column=1, label_column=1)),
        ("read_labelled", None, lambda: read_labelled(table, text_column=np.int64(2))),
        ("python_documentation: a number", "folder must be a path, got int", lambda: python_documentation(5)),
        ("python_documentation: 0", "folder must be a path, got int", lambda: python_documentation(0)),
        ("python_documentation: bytes", "folder must be a path, got bytes", lambda: python_documentation(b"x")),
        ("python_documentation: a NUL", "folder: 'a", lambda: python_documentation("a\0")),
        ("python_documentation: missing", "folder: no Python sources", lambda: python_documentation(FOLDER / "none")),
        ("python_documentation: a file", "folder: no Python sources", lambda: python_documentation(table)),
        ("unknown_share: a string", "texts must be a list", lambda: unknown_share(TOKENIZER, "one text")),
        ("unknown_share: no tokenizer", "tokenizer must be a tokenizers.Tokenizer", lambda: unknown_share(None, TEXTS)),
        ("unknown_share: none", None, lambda: unknown_share(TOKENIZER, [])),
        ("perplexity_of: a text", "log_probs must be numbers, got 'a'", lambda: perplexity_of("a")),
        ("perplexity_of: texts", "log_probs must be numbers, got ['a']", lambda: perplexity_of(["a"])),
        ("perplexity_of: None", "log_probs must be numbers, got None", lambda: perplexity_of(None)),
        ("perplexity_of: none", "log_probs must be a row of at least one number", lambda: perplexity_of([])),
        ("perplexity_of: a table", "log_probs must be a row", lambda: perplexity_of([[-1.0]])),
        ("perplexity_of: nan", "log_probs must be at most 0, got nan", lambda: perplexity_of([-1.0, math.nan])),
        ("perplexity_of: losses", "log_probs must be at most 0, got 2.0", lambda: perplexity_of([1.0, 2.0])),
        ("perplexity_of: impossible", None, lambda: perplexity_of([-math.inf, -1])),
        ("Best: path, None", "path must be a path, got NoneType", lambda: Best(None, len)),
        ("Best: evaluate, a number", "evaluate must be a function, got 3", lambda: best("best", 3)),
        ("Best: evaluate, None", "evaluate must be a function, got None", lambda: best("best", None)),
        ("Best: a text", "evaluate must return a number, got 'x'", lambda: best("best", lambda model: "x")(DECODER)),
        ("Best: nothing", "evaluate must return a number, got None", lambda: best("best", lambda model: None)(DECODER)),
        ("Best: no model", "model must be of the class Module", lambda: best("best")(None)),
        ("Best: a foreign file", "was not written by Best", lambda: best("foreign")),
        ("Best: of another model", "other is of another model", lambda: best("other")(DECODER)),
        ("Best: load, of another model", "other is of another model", lambda: best("other").load(DECODER)),
        ("Best: load, None", "model must be of the class Module", lambda: best("other").load(None)),
        ("Best: load, no file", "no evaluation has been a number", lambda: best("none").load(DECODER)),
        ("Best", None, lambda: (best("best")(DECODER), best("best").load(DECODER))),
        ("classification_loss: None", "batch must be the tensors (tokens, padding_mask, labels), got (NoneType)", lambda: classification_loss(READER, None)),
        ("classification_loss: a text", "batch must be the tensors (tokens, padding_mask, labels), got (", lambda: classification_loss(READER, "abc")),
        ("classification_loss: two parts", "batch must be the tensors (tokens, padding_mask, labels), got (", lambda: classification_loss(READER, batch[:2])),
        ("classification_loss: no model", "model must be of the class Module, got a NoneType", lambda: classification_loss(None, batch)),
        ("classification_loss: floats", "labels must be whole numbers", lambda: judged(labels.float())),
        ("classification_loss: a list", "got (Tensor, Tensor, list)", lambda: judged(labels.tolist())),
        ("classification_loss: no label", "got (Tensor, Tensor, NoneType)", lambda: judged(None)),
        ("classification_loss: too few", "labels must have shape (4,), got (1,)", lambda: judged(labels[:1])),
        ("classification_loss: a table", "labels must have shape (4,), got (1, 4)", lambda: judged(labels[None])),
        ("classification_loss: strange labels", "labels must be classes from 0 to 1", lambda: judged(labels + 5)),
        ("classification_loss: below 0", "labels must be classes from 0 to 1", lambda: judged(labels - 100)),
        ("classification_loss: int32", None, lambda: judged(labels.int())),
        ("language_loss: None", "batch must be the tensors (tokens, targets), got (NoneType)", lambda: language_loss(DECODER, None)),
        ("language_loss: one part", "batch must be the tensors (tokens, targets), got (Tensor)", lambda: language_loss(DECODER, window[:1])),
        ("language_loss: one tensor", "batch must be the tensors (tokens, targets), got (Tensor)", lambda: language_loss(DECODER, IDS[:4])),
        ("language_loss: no model", "model must be of the class Module, got a str", lambda: language_loss("a", window)),
        ("language_loss: a row", "tokens must have shape (B, T)", lambda: language_loss(DECODER, (IDS[:4], IDS[:4]))),
        ("language_loss", None, lambda: language_loss(DECODER, list(window))),
        ("by_heart: None", "history must be of the class History, got a NoneType", lambda: by_heart(None)),
        ("by_heart: losses", "history must be of the class History, got a list", lambda: by_heart([1.0, 2.0])),
        ("by_heart: nothing", None, lambda: by_heart(History())),
        ("verdict: unit", "unit must be of the class str", lambda: verdict(None, "it", ours, ours)),
        ("verdict: name", "name must be of the class str", lambda: verdict("of it", 3, ours, ours)),
        ("verdict: a text", "first must be numbers, got 'a'", lambda: verdict("of it", "it", "a", ours)),
        ("verdict: None", "second must be numbers, got None", lambda: verdict("of it", "it", ours, None)),
        ("verdict: lengths", "first and second must be as long as each other", lambda: verdict("of it", "it", ours, ours[:2])),
        ("verdict: sources", "sources must name one source", lambda: verdict("of it", "it", ours, ours, ["a"])),
        ("train_decoder: out, None", "out must be a path, got NoneType", lambda: decoder(out=None)),
        ("train_decoder: out, a file", "must be a folder, not a file", lambda: decoder(out=str(table))),
        ("train_decoder: train_on, a number", "path must be a path, got int", lambda: refused(train_decoder, out=str(FOLDER / "r"), train_on=5)),
        ("train_decoder: steps, a text", "steps must be a whole number, got 'a'", lambda: decoder(out=str(FOLDER / "r"), steps="a")),
        ("train_decoder: seed, None", "seed must be a whole number, got None", lambda: decoder(out=str(FOLDER / "r"), seed=None)),
        ("train_decoder: start_from, a number", "folder must be a path, got int", lambda: decoder(out=str(FOLDER / "r"), start_from=5)),
        ("train_classifier: text_column, a list", "text_column must be a column", lambda: refused(train_classifier, out=str(FOLDER / "r"), train_on=str(table), text_column=[1])),
        ("train_classifier: pretrain, missing", "there is no file or folder", lambda: refused(train_classifier, out=str(FOLDER / "r"), train_on=str(table), pretrain="none")),
        ("generate_text: None", "folder must be a path, got NoneType", lambda: refused(generate_text, None)),
        ("generate_text: another model", "must hold the model that this command needs, Decoder", lambda: refused(generate_text, str(FOLDER / "reader"))),
        ("generate_text: prompt, a list", "prompt must be", lambda: refused(generate_text, str(FOLDER / "decoder"), ["a"])),
        ("generate_text: seed, half", "seed must be from 0", lambda: refused(generate_text, str(FOLDER / "decoder"), seed=1.5)),
        ("generate_text", None, lambda: refused(generate_text, str(FOLDER / "decoder"), tokens=2)),
        ("classify: a number", "folder must be a path, got int", lambda: refused(classify, 5, ["a"])),
        ("classify: a string", "text must be a list of texts", lambda: refused(classify, str(FOLDER / "reader"), "one")),
        ("classify: neither", "text or file must be given", lambda: refused(classify, str(FOLDER / "reader"))),
        ("classify", None, lambda: refused(classify, str(FOLDER / "reader"), ["the cat"])),
    ):  # fmt: skip
        yield name, call, words


def refused(command: Callable, *given, **options) -> None:
    """Call a command; its one line of refusal is raised."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
        try:
            command(*given, **options)
        except typer.Exit:
            raise ValueError(said.getvalue().strip()) from None


def of_odd_numbers() -> Iterator[Line]:
    """Complex numbers, seeds and ids of any length, what a caller's function may return."""
    complex_, ids = torch.zeros(1, 4) * 1j, IDS[None, :4]
    table = READER.encoder.token_embedding
    write, ahead = dict(max_new_tokens=2), copy.deepcopy(DECODER)
    for head in ahead.blocks[0].attention.heads:
        head.causal = False
    for name, words, call in (
        ("probabilities: complex", "logits must hold real numbers", lambda: probabilities(complex_)),
        ("entropy: complex", "maps must hold real numbers", lambda: entropy(complex_)),
        ("rank_correlation: complex", "b must hold real numbers", lambda: rank_correlation(torch.zeros(4), complex_[0])),
        ("standard_error: sources, a tensor", "sources must name one source", lambda: standard_error([1, 2], torch.tensor([math.nan] * 2))),
        ("standard_error: a long seed", None, lambda: standard_error([1, 2], seed=2**80)),
        ("stream: a long seed", None, lambda: list(stream(DECODER, [[5, 6]], seed=2**80, **write))),
        ("stream: seed, True", "seed must be a whole number, got True", lambda: list(stream(DECODER, [[5, 6]], seed=True, **write))),
        ("stream: max_new_tokens, True", "max_new_tokens must be a whole number from 0", lambda: list(stream(DECODER, [[5, 6]], max_new_tokens=True))),
        ("stream: banned, a truth value", "banned must be a list of ids", lambda: list(stream(DECODER, [[5, 6]], banned=[True], **write))),
        ("stream: stop, a truth value", "stop must be a list of ids", lambda: list(stream(DECODER, [[5, 6]], stop=[torch.tensor(True)], **write))),
        ("stream: heads that look ahead", "decoder must be a decoder, got a Decoder, whose heads look ahead", lambda: list(stream(ahead, [[5, 6]], **write))),
        ("language_loss: heads that look ahead", "model must be a decoder, got a Decoder, whose heads look ahead", lambda: language_loss(ahead, (ids, ids))),
        ("probabilities: temperature, True", "temperature must be 0 (greedy) or", lambda: probabilities(torch.zeros(1, 4), True)),
        ("probabilities: top_k, True", "top_k must be a whole number from 1", lambda: probabilities(torch.zeros(1, 4), top_k=True)),
        ("probabilities: top_p, True", "top_p must be above 0", lambda: probabilities(torch.zeros(1, 4), top_p=True)),
        ("probabilities: truth values", "logits must hold numbers, got torch.bool", lambda: probabilities(torch.zeros(1, 4).bool(), 0)),
        ("standard_error: draws, True", "draws must be a whole number, at least 2, got True", lambda: standard_error([1, 2], draws=True)),
        ("standard_error: seed, True", "seed must be a whole number, got True", lambda: standard_error([1, 2], seed=True)),
        ("Windows: step, True", "step must be a whole number, at least 0, got True", lambda: Windows(IDS, 4, 2)(True)),
        ("schedule: floor, True", "floor must be a plain number, got True", lambda: schedule(1, 10, 2, True)),
        ("Decoder: dropout, a tensor", "dropout must be a plain number", lambda: Decoder(V, 8, **SIZES, dropout=torch.tensor(0.1))),
        ("init_weights: beyond float32", "std must be finite in float32, got 1e+300", lambda: init_weights(DECODER, 1, 1e300)),
        ("stream: a long stop", "stop must be a list of ids", lambda: list(stream(DECODER, [[5, 6]], stop=[2**70], **write))),
        ("ablation: nothing scored", "score must return one number a row", lambda: ablation(lambda t: None, ids, 0)),
        ("ablation: one score for all", "score must return one number a row", lambda: ablation(lambda t: t.sum(), ids, 0)),
        ("gradient_times_input: no gradient", "score must look tokens up in table and keep the gradient", lambda: gradient_times_input(lambda t: table(t).detach().sum((1, 2)), table, ids)),
        ("gradient_times_input: nothing scored", "score must return one number a row", lambda: gradient_times_input(lambda t: 1.0, table, ids)),
    ):  # fmt: skip
        yield name, call, words


def of_losses() -> Iterator[Line]:
    """What scores a model, in training and after it, and what hides tokens for it."""
    masked = MaskedLanguageModel(READER.encoder)
    window, asked = MaskedWindows(IDS, 4, 2)(0)
    tokens, mask, labels = rows()(0)
    chance = torch.Generator()
    third = Sentences([*ROWS, Passage("a", "s", "c")], TOKENIZER, ["a", "b", "c"], 8, 4)
    hide = lambda t=window, size=V, share=0.5, by=chance: lambda: mask_tokens(t, size, share, by)  # noqa: E731
    windows = lambda t=IDS, step=0, **k: lambda: MaskedWindows(t, 4, 2, **k)(step)  # noqa: E731
    tuned = lambda *batch, **k: lambda: finetuning_loss(READER, batch, **k)  # noqa: E731
    judged = lambda names, seen: lambda: per_class(READER, TOKENIZER, names, ROWS, seen)  # noqa: E731
    for name, words, call in (
        ("evaluating: None", "model must be of the class Module, got a NoneType", lambda: evaluating(None).__enter__()),
        ("evaluating: a list", "model must be of the class Module, got a list", lambda: evaluating([READER]).__enter__()),
        ("class_log_probs: a decoder", "model must be of the class EncoderClassifier, got a Decoder", lambda: class_log_probs(DECODER, rows())),
        ("class_log_probs: a layer", "model must be of the class EncoderClassifier, got a Linear", lambda: class_log_probs(torch.nn.Linear(2, 2), rows())),
        ("class_log_probs: compiled", None, lambda: class_log_probs(torch.compile(READER, backend="eager"), rows())),
        ("class_log_probs: a third class", "sentences must be of the model's 2 classes, got one of number 2", lambda: class_log_probs(READER, third)),
        ("accuracy: a third class", "sentences must be of the model's 2 classes", lambda: accuracy(READER, third)),
        ("class_probabilities: a decoder", "model must be of the class EncoderClassifier, got a Decoder", lambda: class_probabilities(DECODER, TOKENIZER, TEXTS)),
        ("class_probabilities: one text", "texts must be a list of texts", lambda: class_probabilities(READER, TOKENIZER, "a")),
        ("class_probabilities: no text", "texts must hold at least one text", lambda: class_probabilities(READER, TOKENIZER, [])),
        ("class_probabilities: an empty text", "texts of passages must hold at least one row", lambda: class_probabilities(READER, TOKENIZER, ["a", ""])),
        ("class_probabilities: no tokenizer", "tokenizer must be a tokenizers.Tokenizer", lambda: class_probabilities(READER, None, ["a"])),
        ("per_sentence: a third class", "sentences must be of the model's 2 classes", lambda: per_sentence(READER, third)),
        ("per_sentence: Windows", "sentences must be Sentences", lambda: per_sentence(READER, Windows(IDS, 4, 2))),
        ("per_class: a third class", "labels must name the model's 2 classes", judged(["a", "b", "c"], set())),
        ("per_class: seen, None", "seen must be of the class set, got a NoneType", judged(["a", "b"], None)),
        ("per_class: seen, a text", "seen must be of the class set, got a str", judged(["a", "b"], "a")),
        ("token_losses: an encoder", "model must be a decoder, got a Encoder", lambda: token_losses(READER.encoder, IDS)),
        ("token_losses: a masked model", "model must be a decoder, got a MaskedLanguageModel", lambda: token_losses(masked, IDS)),
        ("token_losses: stride", "stride must be a whole number", lambda: token_losses(DECODER, IDS, stride=9)),
        ("without_sources: None", "passages must be a list of Passages", lambda: without_sources(None, ROWS)),
        ("without_sources: texts", "passages must be a list of Passages", lambda: without_sources(TEXTS, ROWS)),
        ("without_sources: held out, None", "held_out must be a list of Passages", lambda: without_sources(ROWS, None)),
        ("without_sources: held out, one", "held_out must be a list of Passages", lambda: without_sources(ROWS, ROWS[0])),
        ("without_sources: held out, texts", "held_out must be a list of Passages", lambda: without_sources(ROWS, ROWS, TEXTS)),
        ("without_sources", None, lambda: without_sources(iter(ROWS), iter(ROWS[:2]))),
        ("mask_tokens: a list", "tokens must be a tensor, got a list", hide([[4, 5]])),
        ("mask_tokens: floats", "tokens must be whole numbers", hide(window.float())),
        ("mask_tokens: strange ids", "tokens must be ids from 0", hide(window + V)),
        ("mask_tokens: size, a text", "vocab_size must be a whole number", hide(size=str(V))),
        ("mask_tokens: only special tokens", "vocab_size must be a whole number, 5 to", hide(size=4)),
        ("mask_tokens: share, None", "share must be from 0 to 1, got None", hide(share=None)),
        ("mask_tokens: share, nan", "share must be from 0 to 1, got nan", hide(share=math.nan)),
        ("mask_tokens: share, above 1", "share must be from 0 to 1, got 1.5", hide(share=1.5)),
        ("mask_tokens: generator, a seed", "generator must be of the class Generator", hide(by=5)),
        ("mask_tokens: generator, None", "generator must be of the class Generator", hide(by=None)),
        ("mask_tokens", None, hide(window.int(), np.int64(V))),
        ("MaskedWindows: share, a text", "share must be above 0", windows(share="0.1")),
        ("MaskedWindows: share, None", "share must be above 0", windows(share=None)),
        ("MaskedWindows: below 0", "tokens must be ids from 0", windows(-IDS)),
        ("MaskedWindows: only special tokens", "not only special tokens", windows(IDS * 0)),
        ("MaskedWindows: half a step", "step must be a whole number", windows(step=1.5)),
        ("MaskedWindows: numpy step", None, windows(step=np.int64(3))),
        ("MaskedWindows: any seed", None, windows(seed=-(10**30))),
        ("MaskedLanguageModel: chosen, a list", "chosen must be a tensor", lambda: masked(window, chosen=[1])),
        ("MaskedLanguageModel: chosen, numbers", "chosen must be bool", lambda: masked(window, chosen=window)),
        ("MaskedLanguageModel: chosen, shape", "chosen must be bool", lambda: masked(window, chosen=window[:1] > 0)),
        ("masked_loss: no model", "model must be of the class MaskedLanguageModel", lambda: masked_loss(None, (window, asked))),
        ("masked_loss: a decoder", "model must be of the class MaskedLanguageModel", lambda: masked_loss(DECODER, (window, asked))),
        ("masked_loss: batch, None", "batch must be the tensors (inputs, targets), got (NoneType)", lambda: masked_loss(masked, None)),
        ("masked_loss: batch, three", "got (Tensor, Tensor, Tensor)", lambda: masked_loss(masked, (tokens, mask, labels))),
        ("masked_loss: targets, shape", "targets must have the shape of inputs", lambda: masked_loss(masked, (window, asked[:1]))),
        ("masked_loss: targets, floats", "targets must be whole numbers", lambda: masked_loss(masked, (window, asked.float()))),
        ("masked_loss: targets, strange", "targets must be ids from 0", lambda: masked_loss(masked, (window, window + V))),
        ("masked_loss", None, lambda: masked_loss(masked, [window, asked])),
        ("finetuning_loss: no model", "model must be of the class Module", lambda: finetuning_loss("m", (tokens, mask, labels))),
        ("finetuning_loss: hidden, None", "hidden must be from 0 to below 1, got None", tuned(tokens, mask, labels, hidden=None)),
        ("finetuning_loss: smoothing, nan", "smoothing must be from 0", tuned(tokens, mask, labels, smoothing=math.nan)),
        ("finetuning_loss: batch, two", "batch must be the tensors (tokens, padding_mask, labels)", tuned(tokens, labels)),
        ("finetuning_loss: mask, None", "batch must be the tensors", tuned(tokens, None, labels)),
        ("finetuning_loss: mask, numbers", "padding_mask must be bool", tuned(tokens, mask.long(), labels)),
        ("finetuning_loss: mask, one row", "padding_mask must be bool", tuned(tokens, mask[:1], labels)),
        ("finetuning_loss: floats", "tokens must be whole numbers", tuned(tokens.float(), mask, labels)),
        ("finetuning_loss: labels, floats", "labels must be whole numbers", tuned(tokens, mask, labels.float())),
        ("finetuning_loss: labels, too few", "labels must have shape (4,), got (1,)", tuned(tokens, mask, labels[:1])),
        ("finetuning_loss: labels, strange", "labels must be classes from 0 to 1, got [3", tuned(tokens, mask, labels + 2)),
        ("finetuning_loss", None, tuned(tokens, mask, labels)),
    ):  # fmt: skip
        yield name, call, words


def of_steps_and_drawings() -> Iterator[Line]:
    """A step of an optimizer, a drawn token, a stored model, and what is drawn of maps."""
    square, weight = torch.eye(2), [torch.nn.Parameter(torch.eye(2))]
    maps, scores = torch.full((2, 3, 3), 1 / 3), torch.zeros(1, V)
    picks = lambda by: lambda: sample_next_token(scores, generator=by)  # noqa: E731
    look = lambda **k: lambda: drawn([[1, 2]], **k)  # noqa: E731
    for name, words, call in (
        ("orthogonalize: None", "updates must be a tensor, got a NoneType", lambda: orthogonalize(None)),
        ("orthogonalize: one matrix", "updates must be floating-point matrices (n, rows, columns), got (2, 2)", lambda: orthogonalize(square)),
        ("orthogonalize: whole numbers", "updates must be floating-point", lambda: orthogonalize(square[None].long())),
        ("orthogonalize: complex", "updates must hold real numbers", lambda: orthogonalize(square[None] * 1j)),
        ("orthogonalize: dtype, a text", "dtype must be a floating-point type or None", lambda: orthogonalize(square[None], "float32")),
        ("orthogonalize: dtype, whole", "dtype must be a floating-point type or None", lambda: orthogonalize(square[None], torch.int32)),
        ("orthogonalize: ns_steps, 0", "ns_steps must be a whole number, at least 1, got 0", lambda: orthogonalize(square[None], ns_steps=0)),
        ("orthogonalize: ns_steps, a part", "ns_steps must be a whole number, at least 1, got 2.5", lambda: orthogonalize(square[None], ns_steps=2.5)),
        ("Muon: params, None", "params must be matrices, or groups of them", lambda: Muon(None)),
        ("Muon: params, a tensor", "params must be matrices, or groups of them", lambda: Muon(weight[0])),
        ("Muon: params, texts", "params must be matrices, or groups of them", lambda: Muon(["a"])),
        ("Muon: params, no group", "params must be matrices, or groups of them", lambda: Muon([{"lr": 1.0}])),
        ("Muon: params, whole numbers", "params must be matrices", lambda: Muon([square.long()])),
        ("Muon: params, empty", "params must be matrices", lambda: Muon([square[:0]])),
        ("Muon: params, no list", "params must be matrices, or groups of them", lambda: Muon([])),
        ("Muon: lr, None", "lr must be a plain number, got None", lambda: Muon(weight, None)),
        ("Muon: lr, nan", "lr must be at least 0, got nan", lambda: Muon(weight, math.nan)),
        ("Muon: lr, infinite", "lr must be finite in float32, got inf", lambda: Muon(weight, math.inf)),
        ("make_optimizers: muon, infinite", "muon must be finite in float32, got inf", lambda: make_optimizers(DECODER, 0.1, muon=math.inf)),
        ("init_weights: infinite", "std must be finite in float32, got inf", lambda: init_weights(DECODER, 1, math.inf)),
        ("Muon: lr of a group", "lr must be at least 0, got -1", lambda: Muon([{"params": weight, "lr": -1}])),
        ("Muon: weight_decay, a text", "weight_decay must be a plain number, got '0'", lambda: Muon(weight, weight_decay="0")),
        ("Muon: momentum, 1", "momentum must be from 0 to below 1, got 1", lambda: Muon(weight, momentum=1)),
        ("Muon: momentum, None", "momentum must be from 0 to below 1", lambda: Muon(weight, momentum=None)),
        ("Muon: ns_steps, 0", "ns_steps must be a whole number, at least 1, got 0", lambda: Muon(weight, ns_steps=0)),
        ("Muon: ns_steps, a text", "ns_steps must be a whole number, at least 1, got '5'", lambda: Muon(weight, ns_steps="5")),
        ("Muon: dtype, whole", "dtype must be a floating-point type", lambda: Muon(weight, dtype=torch.int32)),
        ("WeightAverage: params, None", "params must be parameters", lambda: WeightAverage(None, 3)),
        ("WeightAverage: params, texts", "params must be parameters", lambda: WeightAverage(["a"], 3)),
        ("WeightAverage: params, empty", "params must be parameters", lambda: WeightAverage([], 3)),
        ("WeightAverage: params, whole", "params must be floating-point numbers", lambda: WeightAverage([square.long()], 3)),
        ("WeightAverage: horizon, 0", "horizon must be at least 1, got 0", lambda: WeightAverage(weight, 0)),
        ("WeightAverage: horizon, None", "horizon must be at least 1, got None", lambda: WeightAverage(weight, None)),
        ("WeightAverage: horizon of a group", "horizon must be at least 1, got 0.5", lambda: WeightAverage([{"params": weight, "horizon": 0.5}], 3)),
        ("WeightAverage: horizon, nan", "horizon must be at least 1, got nan", lambda: WeightAverage(weight, math.nan)),
        ("WeightAverage", None, lambda: WeightAverage(iter(weight), 3)),
        ("make_optimizers: muon, None", "muon must be a plain number, got None", lambda: make_optimizers(DECODER, 0.1, muon=None)),
        ("train: muon", "muon must be at least 0, got nan", lambda: train(DECODER, Windows(IDS, 4, 2), language_loss, steps=1, muon=math.nan)),
        ("train: average", "average must be from 0 to 1, got -1", lambda: train(DECODER, Windows(IDS, 4, 2), language_loss, steps=1, average=-1)),
        ("Muon", None, lambda: Muon(iter(weight), dtype=torch.bfloat16)),
        ("make_optimizers: nothing to train", "model must be a module with parameters", lambda: make_optimizers(torch.nn.Identity(), 0.1)),
        ("sample_next_token: generator, a seed", "generator must be of the class Generator", picks(5)),
        ("sample_next_token: generator, greedy", "generator must be of the class Generator", lambda: sample_next_token(scores, 0, generator="a")),
        ("sample_next_token: a list", "logits must be a tensor", lambda: sample_next_token([[1.0]], 0)),
        ("sample_next_token", None, picks(None)),
        ("load_stored: None", "name must be one of", lambda: load_stored(None)),
        ("load_stored: a place", "name must be one of", lambda: load_stored("generator/..")),
        ("weight_on: where, numbers", "where must be a bool tensor that fits", lambda: weight_on(maps, torch.ones(3))),
        ("weight_on: where, length", "where must be a bool tensor that fits", lambda: weight_on(maps, torch.ones(4) > 0)),
        ("weight_on: where, a row of more tokens", "where must be a bool tensor that fits", lambda: weight_on(maps[..., :1], maps > 0)),
        ("weight_on: more places than maps", None, lambda: weight_on(maps[:1], maps[:, None] > 0)),
        ("weight_on: maps, a list", "maps must be a tensor, got a list", lambda: weight_on([[1.0]], maps > 0)),
        ("weight_on", None, lambda: weight_on(maps, torch.ones(1, 3) > 0)),
        ("ablation: score, None", "score must be a function, got a NoneType", lambda: ablation(None, IDS[None, :4], 0)),
        ("ablation: replacement, a text", "replacement must be a whole number", lambda: ablation(len, IDS[None, :4], "the")),
        ("ablation: replacement, half", "replacement must be a whole number", lambda: ablation(len, IDS[None, :4], 1.5)),
        ("gradient_times_input: score, a list", "score must be a function, got a list", lambda: gradient_times_input([1], DECODER.token_embedding, IDS[None, :4])),
        ("draw_model: another part", "part must be one of", lambda: draw_model(["text"])),
        ("heatmap: ax, a text", "ax must be the axes of a figure, got a str", look(ax="a")),
        ("heatmap: cmap, a list", "cmap must be a colour map, got [1]", look(cmap=[1])),
        ("heatmap: cmap, a strange name", "cmap must be a colour map, got 'dark'", look(cmap="dark")),
        ("heatmap: vmin, a list", "vmin must be a finite number or None", look(vmin=[1])),
        ("heatmap: vmax, nan", "vmax must be a finite number or None", look(vmax=math.nan)),
        ("heatmap: vmin, above vmax", "vmin must not be above vmax, got 2 and 1", look(vmin=2, vmax=1)),
    ):  # fmt: skip
        yield name, call, words


def drawn(*given, **options) -> None:
    """Draw a heatmap, as a picture needs it."""
    with warnings.catch_warnings():  # of signs that the font lacks
        warnings.simplefilter("ignore")
        heatmap(*given, values=True, **options).figure.canvas.draw()


def table() -> Iterator[Line]:
    """Every line. The words are what a reader of the message needs: the argument, and more."""
    for name, kind in (("a string", "one sentence"), ("bytes", b"x"), ("numbers", [1, 2])):
        yield f"train_tokenizer: {name}", lambda k=kind: train_tokenizer(k), "texts must be a list"
        yield f"encode_all: {name}", lambda k=kind: encode_all(k, TOKENIZER), "texts must be a list"
        yield f"overlap: {name}", lambda k=kind: overlap(k, ["a"]), "train must be a list"
    yield from of_views()
    yield from of_other_kinds()
    yield from of_places()
    yield from of_small_functions()
    yield from of_texts_to_runs()
    yield from of_losses()
    yield from of_odd_numbers()
    yield from of_steps_and_drawings()
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
    yield (
        "read_checkpoint: missing",
        lambda: read_checkpoint(FOLDER / "none"),
        "path: there is no file",
    )
    yield "Checkpoints: every 0", lambda: Checkpoints(FOLDER / "c", every=0), "every"
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
    yield (
        "cross_entropy: a strange last id",
        lambda: cross_entropy(DECODER, [1, V]),
        "tokens must be",
    )
    yield "KneserNey: a text", lambda: KneserNey("2", V), "order and vocab_size must be"
    yield "KneserNey: half an order", lambda: KneserNey(2.5, V), "must be whole numbers"
    yield "Decoder: a huge size", lambda: Decoder(2**63, 8, **SIZES), "vocab_size must be below"
    yield "Decoder: a boolean", lambda: Decoder(V, True, **SIZES), "block_size must be a whole"
    yield "hold_out: a text", lambda: hold_out(ROWS, "0.1"), "share must be"
    yield (
        "load_tokenizer: spoiled",
        lambda: load_tokenizer(file("spoiled.json", TOKENIZER.to_str().encode()[1:])),
        "cannot be read as a tokenizer",
    )
    write = dict(max_new_tokens=2)
    yield "generate", lambda: list(generate(DECODER, TOKENIZER, "the", **write)), None
    for option, value in (
        ("temperature", -1),
        ("temperature", math.nan),
        ("temperature", None),
        ("top_k", 0),
        ("top_k", "3"),
        ("top_k", 2.5),
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
        tried(f"shuffled {a!r} {b!r}", lambda: shuffled(9, a, b))
        tried(f"schedule {a!r} {b!r}", lambda: schedule(a, b, 2, a))
        tried(f"sentences {a!r} {b!r}", lambda: sentences(ROWS, a, b))
        tried(f"normalize_text {a!r}", lambda: normalize_text(a))
        tried(f"count_words {texts!r}", lambda: count_words(texts))
        tried(f"encode_all {texts!r}", lambda: encode_all(texts, TOKENIZER))
        tried(f"overlap {texts!r}", lambda: overlap(texts, texts))

    def sizes(a, b, c, d) -> None:
        given = dict(embedding_dim=a, num_heads=b, num_layers=c, dropout=d)
        tried(f"Decoder {given}", lambda: Decoder(V, 8, **given))
        tried(f"Decoder {a!r} {b!r}", lambda: Decoder(a, b, **SIZES))
        tried(f"Classifier {given}", lambda: Classifier(a, b, c))
        tried(f"KneserNey {a!r} {b!r}", lambda: KneserNey(a, b).fit(IDS).log_probs(IDS))
        tried(f"hold_out {a!r}", lambda: hold_out(ROWS, a))
        tried(f"split_by_source {a!r} {b!r}", lambda: split_by_source(ROWS, validation=a, test=b))

    def rows_of_numbers(values, other) -> None:
        tried(f"standard_error {values!r}", lambda: standard_error(values, draws=2))
        tried(f"compare {values!r} {other!r}", lambda: compare(values, other, draws=2))
        tried(f"cross_entropy {values!r}", lambda: cross_entropy(DECODER, values))
        tried(f"KneserNey {values!r}", lambda: KneserNey(2, V).fit(values))

    def chances(a, b, c) -> None:
        given = dict(temperature=a, top_k=b, top_p=c)
        tried(f"probabilities {given}", lambda: probabilities(torch.zeros(1, V), **given))
        tried(
            f"generate {given}",
            lambda: list(generate(DECODER, TOKENIZER, "the", max_new_tokens=2, **given)),
        )

    def pieces(texts, kind, damage) -> None:
        def there_and_back() -> None:
            made = train_tokenizer(texts, kind, 270)
            for text in texts:
                back = made.decode(made.encode(text).ids, skip_special_tokens=False)
                if kind == "bpe" and back != unicodedata.normalize("NFC", text):
                    raise AssertionError(f"{text!r} became {back!r}")
            content = bytearray(made.to_str().encode())
            content[damage % len(content)] = damage % 256
            load_tokenizer(file("fuzz.json", bytes(content)))

        tried(f"train_tokenizer {texts!r} {kind} {damage}", there_and_back)

    tensors = {
        **{
            type(p).__name__: p
            for p in (AttentionHead(8, 4), MultiHeadAttention(8, 2), FeedForward(8), Block(8, 2))
        },
        "Classifier": Classifier(8, 8, 2),
        "Encoder": READER.encoder,
        "EncoderClassifier": READER,
        "Decoder": DECODER,
        "attention_weights": attention_weights,
    }

    def shapes(name: str, one, two, three) -> None:
        made = [
            torch.randint(-1, 12, shape).to(device, kind)
            for shape, kind, device in (one, two, three)
        ]
        made = (
            made[: 1 if name in ("Classifier", "FeedForward") else 2]
            if name != "attention_weights"
            else made
        )
        tried(
            f"{name} {[(tuple(t.shape), t.dtype, t.device) for t in made]}",
            lambda: tensors[name](*made),
        )

    def command(text: str, option: str, value) -> None:
        line = ["generate", str(FOLDER / "fuzzed"), "--prompt", text, f"--{option}={value}"]
        done = CliRunner().invoke(app, [*line, "--tokens=2"] if option != "tokens" else line)
        if done.exit_code not in (0, 2):
            found.append(f"{line}: exit {done.exit_code}, {done.exception!r}")

    options = st.sampled_from(["temperature", "top-k", "top-p", "seed", "tokens"])
    small = st.one_of(st.integers(-3, 50), st.floats(), st.text(max_size=3))
    quick = settings(max_examples=50, deadline=None, database=None,
                     suppress_health_check=list(HealthCheck))  # fmt: skip
    other = st.one_of(st.floats(), st.none(), st.text(max_size=3), st.booleans())
    dim = st.one_of(st.integers(-3, 40), st.sampled_from([2**31, 2**63]), other)
    row = st.lists(st.one_of(st.integers(-2, 40), st.floats(), st.booleans()), max_size=5)
    tensor = st.tuples(
        st.lists(st.sampled_from([0, 1, 2, 3, 8]), max_size=4),
        st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool]),
        st.sampled_from(["cpu", "cpu", "cpu", "meta"]),
    )
    parts = [
        given(content, st.sampled_from([".txt", ".tsv", ".csv", ".jsonl"]))(files),
        given(st.sampled_from(sorted(saved)), st.integers(0), st.integers(0, 255))(damaged),
        given(number, number, st.one_of(st.text(), st.lists(st.text(max_size=9), max_size=3)))(
            numbers
        ),
        given(st.text(max_size=20), options, small)(command),
        given(dim, dim, dim, number)(sizes),
        given(row, row)(rows_of_numbers),
        given(number, number, number)(chances),
        given(st.sampled_from(sorted(tensors)), tensor, tensor, tensor)(shapes),
        given(
            st.lists(st.text(max_size=20), max_size=4),
            st.sampled_from(["char", "word", "bpe"]),
            st.integers(0, 10**6),
        )(pieces),
    ]
    parts = [quick(part) for part in parts]
    end = time.process_time() + seconds
    while time.process_time() < end and not found:
        for part in parts:
            part()
            if time.process_time() > end:
                break
    return found


if __name__ == "__main__":
    lines = [(name, *outcome(call), words) for name, call, words in table()]
    print(json.dumps([lines, fuzz(float(sys.argv[1])) if sys.argv[1:] else []]))

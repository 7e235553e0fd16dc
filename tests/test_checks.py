"""Bad input to the model classes: one ValueError that names the argument, and nothing computed.

The table is worked through in a process of its own, without the checks of shapes and types that the
tests put around the package: there a user's list or string reaches the classes as it is.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from transformer_lib.checks import (
    CacheLike,
    LayerCacheLike,
    check_cache,
    check_padding_mask,
    check_sizes,
    check_targets,
    check_tokens,
    check_widths,
)
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder
from transformer_lib.kv_cache import KVCache

SIZES = {"vocab_size": 11, "block_size": 8}

# What is called, and the argument that the message has to begin with.
TABLE = {
    **{
        f"{kind}({size}={value})": ("model", kind, {size: value}, size)
        for kind in ("Encoder", "Decoder")
        for size in ("vocab_size", "block_size", "embedding_dim", "num_heads", "num_layers")
        for value in ("0", "-1", "'8'", "8.0", "None", "[8]", "float('nan')", "torch.ones(2)")
    },
    **{
        f"{kind}(dropout={value})": ("model", kind, {"dropout": value}, "dropout")
        for kind in ("Encoder", "Decoder")
        for value in ("1", "-0.1", "'0.1'", "None", "[0.1]", "float('nan')", "2 + 1j")
    },
    **{
        call: ("call", call, {}, argument)
        for call, argument in {
            "AttentionHead(4.0, 2)": "embedding_dim",
            "AttentionHead(4, '2')": "head_size",
            "AttentionHead(4, 2, dropout=None)": "dropout",
            "MultiHeadAttention('4', 2)": "embedding_dim",
            "MultiHeadAttention(4, 2.0)": "num_heads",
            "MultiHeadAttention(4, 3)": "embedding_dim",
            "FeedForward('4')": "embedding_dim",
            "FeedForward(4, dropout=[])": "dropout",
            "Block(4, 0)": "num_heads",
            "Block(4.5, 1)": "embedding_dim",
            "Classifier(4, 5.5, 3)": "hidden_dim",
            "Classifier(4, 5, '3')": "num_classes",
            "EncoderClassifier(encoder, Classifier(4, 5, 3))": "encoder",
            "EncoderClassifier('encoder', Classifier(4, 5, 3))": "encoder",
            "EncoderClassifier(encoder, torch.nn.Linear(8, 3))": "classifier",
            "init_weights(decoder, 0)": "num_layers",
            "init_weights(decoder, 2.5)": "num_layers",
            "init_weights(decoder, 2, std='0.1')": "std",
            "init_weights(decoder, 2, std=float('nan'))": "std",
            **{f"{part}(x.tolist())": "x" for part in ("head", "many", "feed", "block")},
            **{f"{part}(x.numpy())": "x" for part in ("head", "many", "feed", "block")},
            **{f"{part}(x[0])": "x" for part in ("head", "many", "feed", "block")},
            **{f"{part}(x.long())": "x" for part in ("head", "many", "feed", "block")},
            **{f"{part}(x.bool())": "x" for part in ("head", "many", "feed", "block")},
            **{f"{part}(x.int())": "x" for part in ("head", "many", "feed", "block")},
            **{f"{part}(x + 0j)": "x" for part in ("head", "many", "feed", "block")},
            **{f"{part}(x[:0])": "x" for part in ("head", "many", "feed", "block")},
            "Classifier(8, 5, 3)(x)": "x",
            "Classifier(8, 5, 3)('x')": "x",
            "Classifier(8, 5, 3)(x[0].long())": "x",
            "Classifier(8, 5, 3)(x[0].bool())": "x",
            "encoder([[1, 2]])": "tokens",
            "encoder('ab')": "tokens",
            "encoder(None)": "tokens",
            "encoder(ids.float())": "tokens",
            "encoder(ids.bool())": "tokens",
            "encoder(ids + 8)": "tokens",
            "encoder(-1 - ids)": "tokens",
            "encoder(ids[:, :0])": "tokens",
            "encoder(ids.repeat(1, 3))": "tokens",
            "encoder(ids, real.tolist())": "padding_mask",
            "encoder(ids, real.float())": "padding_mask",
            "encoder(ids, real[:, :2])": "padding_mask",
            "decoder([[1, 2]])": "tokens",
            "decoder(ids, [[1, 2, 3], [1, 2, 3]])": "targets",
            "decoder(ids, ids.float())": "targets",
            "decoder(ids, ids[:, 1:])": "targets",
            "decoder(ids, ids + 8)": "targets",
            "decoder(ids, 0 * ids - 100)": "targets",
            "decoder(ids, padding_mask=[True])": "padding_mask",
            "decoder(ids, padding_mask=real[:1])": "padding_mask",
            "decoder(ids, cache=KVCache(decoder))": "return_attention",
            "many(x, cache=KVCache(decoder).layers[0])": "return_attention",
            "block(x, cache=KVCache(decoder).layers[0])": "return_attention",
            "reader(ids, real[:, :2])": "padding_mask",
            "reader([[1, 2]])": "tokens",
        }.items()
    },
}

PROGRAM = """
import json, sys
import torch
from transformer_lib import *
from transformer_lib.block import init_weights
from transformer_lib.kv_cache import KVCache

small = dict(vocab_size=11, block_size=8, embedding_dim=8, num_heads=2, num_layers=2)
encoder, decoder = Encoder(**small), Decoder(**small)
reader = EncoderClassifier(encoder, Classifier(8, 5, 3))
head, many, feed = AttentionHead(8, 4), MultiHeadAttention(8, 2), FeedForward(8)
block = Block(8, 2)
x, ids = torch.randn(2, 3, 8), torch.tensor([[0, 4, 10], [3, 7, 9]])
real = torch.ones(2, 3, dtype=torch.bool)
said = {}
for name, (how, what, change, _) in json.load(sys.stdin).items():
    try:
        if how == "model":
            change = {key: eval(value) for key, value in change.items()}
            eval(what)(**{**small, **change})
        else:
            eval(what)
        said[name] = "nothing was refused"
    except Exception as error:
        said[name] = f"{type(error).__name__}: {error}"
json.dump(said, sys.stdout)
"""


@pytest.fixture(scope="module")
def said():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(TABLE),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", TABLE)
def test_the_error_names_the_argument(said, name):
    assert said[name].startswith(f"ValueError: {TABLE[name][-1]} "), said[name]
    assert " must " in said[name]


def cached(positions=2, rows=1):
    """A decoder, and its cache after some positions."""
    torch.manual_seed(0)
    decoder = Decoder(20, 12, embedding_dim=8, num_heads=2, num_layers=2).eval()
    cache = KVCache(decoder)
    decoder(torch.randint(20, (rows, positions)), return_attention=False, cache=cache)
    return decoder, cache


@pytest.mark.parametrize("keys", [1, 2, 4, 9])
def test_a_mask_of_another_length_under_a_cache_is_refused(keys):
    decoder, cache = cached()
    mask = torch.ones(1, keys, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"^padding_mask must be a bool tensor of shape \(1, 3\)"):
        decoder(torch.tensor([[1]]), padding_mask=mask, return_attention=False, cache=cache)
    assert cache.length == 2  # nothing was added
    good = torch.ones(1, 3, dtype=torch.bool)
    logits = decoder(
        torch.tensor([[1]]), padding_mask=good, return_attention=False, cache=cache
    ).logits
    assert logits.shape == (1, 1, 20) and cache.length == 3


def test_a_row_of_padding_under_a_cache_is_refused():
    decoder, cache = cached(rows=2)
    mask = torch.tensor([[True] * 3, [False] * 3])
    with pytest.raises(ValueError, match=r"at least one real token in each row, rows \[1\]"):
        decoder(torch.tensor([[1], [2]]), padding_mask=mask, return_attention=False, cache=cache)
    assert cache.length == 2


def test_one_attention_layer_checks_the_mask_under_its_own_cache():
    decoder, cache = cached()
    attention, layer = decoder.blocks[0].attention, cache.layers[0]
    mask = torch.ones(1, 9, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"^padding_mask must be a bool tensor of shape \(1, 3\)"):
        attention(torch.randn(1, 1, 8), mask, return_attention=False, cache=layer)


def test_the_cache_of_the_library_is_what_the_models_ask_for():
    _, cache = cached()
    assert isinstance(cache, CacheLike)
    assert all(isinstance(layer, LayerCacheLike) for layer in cache.layers)
    assert not isinstance([], CacheLike)
    check_cache(cache, return_attention=False, layers=2)
    check_cache(cache.layers[0], return_attention=False)
    with pytest.raises(ValueError, match="^return_attention must be False with a cache"):
        check_cache(cache, return_attention=True, layers=2)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, torch.tensor])
def test_whole_numbers_of_other_libraries_become_plain(kind):
    sizes = check_sizes(vocab_size=kind(30), block_size=kind(8))
    assert sizes == {"vocab_size": 30, "block_size": 8}
    assert all(type(size) is int for size in sizes.values())
    assert json.loads(json.dumps(sizes)) == sizes


@pytest.mark.slow
def test_a_model_of_numpy_sizes_computes_what_one_of_plain_sizes_does():
    program = (
        "import json, numpy as np, torch\n"
        "from transformer_lib import Decoder\n"
        "n = np.int64\n"
        "torch.manual_seed(0)\n"
        "a = Decoder(n(30), n(8), embedding_dim=n(8), num_heads=n(2), num_layers=n(1))\n"
        "torch.manual_seed(0)\n"
        "b = Decoder(30, 8, embedding_dim=8, num_heads=2, num_layers=1)\n"
        "ids = torch.arange(8)[None]\n"
        "assert torch.equal(a(ids).logits, b(ids).logits)\n"
        "print(json.dumps(a.sizes))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["vocab_size"] == 30


def test_good_input_is_not_refused():
    ids = torch.tensor([[0, 10]])
    model = Encoder(**SIZES, embedding_dim=4, num_heads=1, num_layers=1)
    check_tokens(ids, model)
    check_tokens(ids.int(), model, torch.ones(1, 8, dtype=torch.bool), past=6)
    check_targets(torch.tensor([[-100, 10]]), torch.zeros(1, 2, 11))
    check_padding_mask(torch.tensor([[False, True]]), 1, 2)
    check_padding_mask(None, 1, 2)


def test_widths_are_compared_between_all_models():
    one = Decoder(5, 4, embedding_dim=8, num_heads=2, num_layers=1)
    two = Decoder(5, 4, embedding_dim=4, num_heads=2, num_layers=1)
    check_widths(a=one, b=one)
    with pytest.raises(ValueError, match="a and b must have the same embedding_dim, got 8 and 4"):
        check_widths(a=one, b=two)


@pytest.mark.parametrize(
    "call",
    [
        lambda d, ids, real: d(ids, ids, real),
        lambda d, ids, real: d.blocks[0](torch.randn(2, 3, 8), real, False),
        lambda d, ids, real: d.blocks[0].attention(torch.randn(2, 3, 8), real, False),
        lambda d, ids, real: d.blocks[0].attention.heads[0](torch.randn(2, 3, 8), real, False),
    ],
)
def test_what_follows_the_second_argument_is_given_by_name(call):
    decoder, _ = cached()
    with pytest.raises(TypeError, match="positional"):
        call(decoder, torch.ones(2, 3).long(), torch.ones(2, 3, dtype=torch.bool))


def test_the_answer_of_a_decoder_has_names_and_still_unpacks():
    decoder, _ = cached()
    ids = torch.tensor([[1, 2, 3]])
    answer = decoder(ids, ids)
    logits, loss, maps = answer
    assert answer.logits is logits and answer.loss is loss and answer.maps is maps
    assert answer[0] is logits and len(answer) == 3
    assert decoder(ids).loss is None and decoder(ids, return_attention=False).maps is None

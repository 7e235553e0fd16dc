"""Sampling: what may be drawn, that the cache changes nothing, and that pieces of text join to the whole."""

import copy
import inspect
import itertools
import types
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from tests.builders import as_trained
from transformer_lib.decoder import Decoder
from transformer_lib.kv_cache import (
    Continuation,
    KVCache,
    LayerCache,
    OneToken,
    is_standard,
    left_pad,
)
from transformer_lib.sampling import generate, probabilities, sample_next_token, stream
from transformer_lib.tokens import END, UNK, train_tokenizer

V, SIZE = 17, 12
some = settings(max_examples=15, deadline=None)


def make(dtype=torch.float64, *, block_size=SIZE, vocab_size=V, **sizes):
    """A decoder in which every part matters, in evaluation mode."""
    sizes = {"embedding_dim": 16, "num_heads": 2, "num_layers": 3, **sizes}
    return as_trained(Decoder, vocab_size, block_size, std=0.3, dtype=dtype, **sizes).eval()


def random_rows(lengths, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randint(V, (length,), generator=g).tolist() for length in lengths]


def drawn(*args, **choice):
    """All that stream yields, (tokens, B)."""
    return torch.stack(list(stream(*args, **choice)))


def whole_and_cached(model, tokens, mask, parts):
    """The logits of one pass, and those of a pass in parts with a cache."""
    cache, pieces, at = KVCache(model), [], 0
    with torch.inference_mode():
        whole = model(tokens, padding_mask=mask, return_attention=False)[0]
        for size in parts:
            seen = None if mask is None else mask[:, : at + size]
            part = tokens[:, at : at + size]
            piece = model(part, padding_mask=seen, return_attention=False, cache=cache)
            pieces.append(piece.logits)
            at += size
    return whole, torch.cat(pieces, 1)


# the cache changes nothing

chunkings = (
    st.lists(st.integers(1, 5), min_size=1, max_size=SIZE)
    .map(
        lambda parts: [
            p for p, end in zip(parts, itertools.accumulate(parts), strict=True) if end <= SIZE
        ]
    )
    .filter(bool)
)
precisions = pytest.mark.parametrize(
    ("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 2e-5)]
)


@precisions
@some
@given(parts=chunkings, rows=st.integers(1, 3), seed=st.integers(0, 99))
def test_cache_gives_the_logits_of_one_pass_for_every_chunking(dtype, close, parts, rows, seed):
    tokens = torch.tensor(random_rows([sum(parts)] * rows, seed))
    whole, cached = whole_and_cached(make(dtype), tokens, None, parts)
    assert_close(cached, whole, atol=close, rtol=close)


@precisions
@some
@given(parts=chunkings, seed=st.integers(0, 99), data=st.data())
def test_cache_gives_the_logits_of_one_pass_for_padded_rows(dtype, close, parts, seed, data):
    T = sum(parts)
    shortest = T - parts[0] + 1  # the first part holds a real token of every row
    lengths = data.draw(st.lists(st.integers(shortest, T), min_size=2, max_size=4))
    tokens, mask = left_pad(random_rows([*lengths, T], seed))
    if mask is None:
        mask = torch.ones_like(tokens, dtype=torch.bool)
    whole, cached = whole_and_cached(make(dtype), tokens, mask, parts)
    assert_close(cached[mask], whole[mask], atol=close, rtol=close)


@pytest.mark.parametrize("parts", list(itertools.product([1, 2, 3], repeat=3)))
def test_cache_in_training_mode_without_dropout(parts):
    tokens = torch.tensor(random_rows([sum(parts)]))
    whole, cached = whole_and_cached(make().train(), tokens, None, parts)
    assert_close(cached, whole)


@precisions
@some
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_continuation_gives_the_uncached_logits_at_every_step_and_past_block_size(
    dtype, close, lengths, seed
):
    model, prompts = make(dtype), random_rows(lengths, seed)
    with torch.inference_mode():
        fast, slow = (Continuation(model, prompts, cached) for cached in (True, False))
        for _ in range(2 * SIZE):
            logits = slow.logits()
            assert_close(fast.logits(), logits, atol=close, rtol=close)
            chosen = sample_next_token(logits, temperature=0)
            fast.add(chosen)
            slow.add(chosen)


@pytest.mark.parametrize(
    "choice", [{"temperature": 0}, {"seed": 4}, {"seed": 5, "top_k": 3, "top_p": 0.8}]
)
@pytest.mark.parametrize("lengths", [[1], [SIZE], [SIZE + 1], [3, 9, 1], [30, 2]])
def test_cached_and_uncached_draw_the_same_tokens(lengths, choice):
    model, prompts = make(), random_rows(lengths)
    fast, slow = (
        drawn(model, prompts, max_new_tokens=40, cached=c, **choice) for c in (True, False)
    )
    assert torch.equal(fast, slow) and fast.shape == (40, len(lengths))


def test_a_prompt_alone_gets_what_it_gets_in_a_batch():
    model, prompts = make(), random_rows([2, 7, 4])
    together = drawn(model, prompts, max_new_tokens=5, temperature=0)  # within block_size
    for row, prompt in enumerate(prompts):
        assert torch.equal(
            together[:, row], drawn(model, [prompt], max_new_tokens=5, temperature=0)[:, 0]
        )


def test_past_block_size_goes_on_with_the_last_half():
    model, prompt = make(), random_rows([SIZE])[0]
    first, second = drawn(model, [prompt], max_new_tokens=2, temperature=0)[:, 0].tolist()
    kept = [*prompt, first][-(SIZE // 2) :]
    assert second == int(model(torch.tensor([kept]))[0][0, -1].argmax())


@pytest.mark.parametrize("block_size", [1, 2, 3])
def test_tiny_blocks(block_size):
    model = make(block_size=block_size)
    fast, slow = (
        drawn(model, random_rows([4, 2]), max_new_tokens=9, seed=1, cached=c) for c in (True, False)
    )
    assert torch.equal(fast, slow)


class OffByOne(KVCache):
    """A cache that is one position behind when it says how much it holds."""

    @property
    def length(self):
        return max(0, super().length - 1)


class Stale(LayerCache):
    """A layer that writes every new key to the first place."""

    def append(self, k, v):
        keys, values = super().append(k, v)
        self.memory[0, :, :, :1], self.memory[1, :, :, :1] = k[:, :, -1:], v[:, :, -1:]
        return keys, values


def planted(model, kind):
    if kind == "off by one":
        return OffByOne(model)
    cache = KVCache(model)
    cache.layers[1] = Stale(SIZE)
    return cache


@pytest.mark.parametrize("kind", ["off by one", "stale"])
def test_a_broken_cache_is_seen_in_the_logits(kind):
    """The comparison above would notice a position that is off by one, or a key overwritten."""
    model, tokens = make(), torch.tensor(random_rows([8]))
    cache = planted(model, kind)
    with torch.inference_mode():
        model(tokens[:, :5], return_attention=False, cache=cache)
        broken = model(tokens[:, 5:6], return_attention=False, cache=cache)[0]
        assert (broken - model(tokens[:, :6])[0][:, 5:]).abs().max() > 1e-3
        one = OneToken(model, planted(model, kind))
        model(tokens[:, :5], return_attention=False, cache=one.cache)
        assert (one(tokens[:, 5]) - model(tokens[:, :6])[0][:, 5]).abs().max() > 1e-3


def test_cache_holds_keys_and_values_in_memory_set_aside_once():
    model = make()
    cache, row = KVCache(model), torch.tensor(random_rows([SIZE]))
    with torch.inference_mode():
        model(row[:, :3], return_attention=False, cache=cache)
        memory = cache.layers[0].memory
        assert memory.shape == (2, 1, 2, SIZE, 8) and cache.length == 3
        model(row[:, 3:], return_attention=False, cache=cache)
        assert cache.layers[0].memory is memory and cache.length == SIZE
        with pytest.raises(ValueError, match="block_size = 12 with the 12 in the cache"):
            model(row[:, :1], return_attention=False, cache=cache)
        cache.clear()
        assert cache.length == 0
        assert_close(model(row, return_attention=False, cache=cache)[0], model(row)[0])
        assert cache.layers[0].memory is memory


def test_without_a_cache_every_position_is_computed_anew(monkeypatch):
    """Or the comparisons of cached with uncached would compare the cache with itself."""
    model, lengths, forward = make(), [], Decoder.forward

    def watched(self, tokens, *more, **named):
        lengths.append(tokens.shape[1])
        return forward(self, tokens, *more, **named)

    monkeypatch.setattr(Decoder, "forward", watched)
    drawn(model, [[1, 2]], max_new_tokens=4, cached=False)
    assert lengths == [2, 3, 4, 5]
    lengths.clear()
    drawn(model, [[1, 2]], max_new_tokens=4)
    assert lengths == [2]  # the other three are OneToken's


def test_the_fast_path_takes_each_norm_as_it_is():
    model = make()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 0.5
    fast, slow = (Continuation(model, [[1, 2]], cached) for cached in (True, False))
    with torch.inference_mode():
        for text in (fast, slow):
            text.logits()
            text.add(torch.tensor([[3]]))
        assert_close(fast.logits(), slow.logits(), atol=1e-10, rtol=1e-10)


def test_weights_are_stacked_once_for_a_generation(monkeypatch):
    model, calls = make(), []
    for block in model.blocks:
        once = block.attention.stacked
        monkeypatch.setattr(block.attention, "stacked", lambda once=once: calls.append(1) or once())
    drawn(model, [[1]], max_new_tokens=30, temperature=0)
    assert len(calls) == len(model.blocks)


def test_one_token_serves_only_decoders_that_it_knows():
    model = make()
    assert is_standard(model)
    changed = copy.deepcopy(model)
    inner = changed.blocks[0].feed_forward
    inner.contract = nn.Sequential(inner.contract, nn.Identity())
    assert not is_standard(changed)
    assert torch.equal(
        drawn(changed, [[1, 2]], temperature=0), drawn(model, [[1, 2]], temperature=0)
    )
    handle = model.blocks[1].register_forward_hook(
        lambda module, inputs, output: (0 * output[0], output[1])
    )
    fast, slow = (drawn(model, [[1, 2]], temperature=0, cached=c) for c in (True, False))
    assert not is_standard(model) and torch.equal(fast, slow)
    handle.remove()
    assert is_standard(model)
    handle = model.blocks[1].register_forward_pre_hook(lambda module, inputs: None)
    assert not is_standard(model)
    handle.remove()
    instance = copy.deepcopy(model)  # a forward of one's own on one module
    block = instance.blocks[-1]
    block.forward = types.MethodType(lambda self, x, *more, **named: (x, None), block)
    fast, slow = (drawn(instance, [[1, 2]], temperature=0, cached=c) for c in (True, False))
    assert not is_standard(instance) and torch.equal(fast, slow)


def test_a_hook_on_a_head_is_heard_while_text_is_written():
    model, silent = make(), make()
    hook = (
        model.blocks[0]
        .attention.heads[0]
        .register_forward_hook(lambda module, inputs, output: (0 * output[0], output[1]))
    )
    head = silent.blocks[0].attention.heads[0]
    nn.init.zeros_(head.value.weight), nn.init.zeros_(head.value.bias)
    rows = [[1, 2, 3], [4]]
    assert torch.equal(drawn(model, rows, seed=0), drawn(silent, rows, seed=0, cached=False))
    cache = KVCache(model)
    with pytest.raises(ValueError, match="cache must be None where heads"):
        model(torch.tensor([[1]]), return_attention=False, cache=cache)
    hook.remove()
    assert Continuation(model, rows).cache is not None


def test_heads_that_look_ahead_have_no_cache():
    """What they would store does not stay true: text is written without, and a cache is refused."""
    model, rows = make(), [[1, 2, 3], [4]]
    plain = drawn(model, rows, seed=0)
    for head in model.blocks[0].attention.heads:
        head.causal = False
    fast, slow = (drawn(model, rows, seed=0, cached=c) for c in (True, False))
    assert torch.equal(fast, slow) and not torch.equal(fast, plain)
    with pytest.raises(ValueError, match="cache must be None where heads look ahead"):
        model(torch.tensor([[1]]), return_attention=False, cache=KVCache(model))


def test_a_table_that_shortens_its_rows_is_not_read_past_its_module():
    model = make()
    model.token_embedding.max_norm = 0.05
    assert not is_standard(model)
    fast, slow = (drawn(model, [[1, 2]], temperature=0, cached=c) for c in (True, False))
    assert torch.equal(fast, slow)


def test_a_forward_that_is_kept_on_the_object_and_is_the_class_s_own_changes_nothing():
    """As Accelerate leaves it behind."""
    model = make()
    model.forward = types.MethodType(Decoder.forward, model)
    assert is_standard(model)
    model.forward = types.MethodType(
        Decoder.forward, make()
    )  # it would compute with others' weights
    assert not is_standard(model)


class Own(Decoder):
    """A language model of somebody's own: no blocks, so nothing to cache."""

    sizes = {"vocab_size": V, "block_size": SIZE}

    def __init__(self):
        nn.Module.__init__(self)
        self.table = nn.Embedding(V, V)

    def forward(self, tokens, padding_mask=None, return_attention=True, cache=None):
        return self.table(tokens), None, None


def test_a_model_without_blocks_writes_without_a_cache():
    torch.manual_seed(0)
    model = Own()
    best = model.table.weight.argmax(-1).tolist()
    text = stream(model, [[1], [2, 3]], max_new_tokens=2, temperature=0)
    assert next(text).tolist() == [best[1], best[3]]


# what may be drawn

logit_rows = st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=12).map(
    lambda row: torch.tensor([row])
)
temperatures = st.floats(0.05, 20)


@some
@given(logits=logit_rows, temperature=temperatures, k=st.integers(1, 15), p=st.floats(0.01, 1))
def test_probabilities_sum_to_one_and_keep_the_order(logits, temperature, k, p):
    given_ = logits.clone()
    weights = probabilities(logits, temperature, k, p)
    assert torch.equal(logits, given_), "the logits were changed in place"
    assert weights.shape == logits.shape and (weights >= 0).all()
    assert_close(weights.sum(-1), torch.ones(1))
    kept = weights[0] > 0
    assert 1 <= kept.sum() <= k
    if not kept.all():
        assert (
            logits[0][kept].min()
            >= logits[0][~kept].max() - 1e-5  # float32 rounds closer ones together
            or logits[0][kept].softmax(-1).min() < 1e-6
        )  # too small for float32, not cut
    order = logits[0][kept].argsort()
    assert (weights[0][kept][order].diff() >= -1e-6).all()


@some
@given(logits=logit_rows, p=st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_that_reach_p(logits, p):
    plain, kept = logits.softmax(-1)[0], probabilities(logits, top_p=p)[0] > 0
    mass = plain[kept].sum()
    assert mass >= p - 1e-5
    assert mass - plain[kept].min() < p + 1e-5, "one of them was not needed"


@some
@given(logits=logit_rows, k=st.integers(1, 15))
def test_top_k_keeps_the_shares_among_the_kept(logits, k):
    weights = probabilities(logits, top_k=k)[0]
    best, index = logits[0].topk(min(k, logits.shape[1]))
    assert_close(weights[index], best.softmax(-1))


def test_ties_and_exact_shares():
    halves = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    assert probabilities(halves, top_p=0.5).tolist() == [[1, 0, 0, 0]]
    assert (probabilities(halves, top_p=0.75) > 0).sum() == 2
    assert (probabilities(halves, top_p=0.751) > 0).sum() == 3
    equal = torch.zeros(1, 6)
    assert (probabilities(equal, top_k=2) > 0).sum() == 2, "ties must not let more than k through"
    assert probabilities(equal, top_p=0.4).tolist()[0][3:] == [0, 0, 0]
    assert probabilities(equal, temperature=0).tolist() == [[1, 0, 0, 0, 0, 0]]


def test_temperature_from_greedy_to_uniform():
    logits = torch.tensor([[2.0, 1.0, -1.0]])
    assert_close(probabilities(logits), logits.softmax(-1))
    assert_close(probabilities(logits, 2.0), (logits / 2).softmax(-1))
    assert_close(probabilities(logits, 1e9), torch.full((1, 3), 1 / 3))
    for tiny in (0, 1e-9, 1e-40, 1e-300):
        assert probabilities(100 * logits, tiny).tolist() == [[1, 0, 0]], tiny
    assert_close(probabilities(logits * 1e4, 1e-3), torch.tensor([[1.0, 0, 0]]))
    assert_close(probabilities(logits.double(), 0.7), (logits / 0.7).softmax(-1))


def test_sample_next_token_draws_as_often_as_the_probabilities_say():
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log().expand(20_000, -1)
    g = torch.Generator().manual_seed(0)
    counts = torch.bincount(sample_next_token(logits, 1.0, 3, None, g)[:, 0], minlength=4) / 20_000
    assert_close(counts, torch.tensor([0.5, 0.25, 0.15, 0]) / 0.9, atol=0.02, rtol=0)


# stream


def test_greedy_is_deterministic_and_seeds_repeat():
    model = make()
    greedy = drawn(model, [[3]], max_new_tokens=20, temperature=0)
    assert torch.equal(greedy, drawn(model, [[3]], max_new_tokens=20, temperature=0, seed=9))
    once, again, other = (drawn(model, [[3]], max_new_tokens=20, seed=s) for s in (1, 1, 2))
    assert torch.equal(once, again) and not torch.equal(once, other)
    assert not torch.equal(
        drawn(model, [[3]], max_new_tokens=30), drawn(model, [[3]], max_new_tokens=30)
    )
    assert torch.equal(drawn(model, [[3]], max_new_tokens=20, top_k=1), greedy)


def test_seed_leaves_the_global_random_state_alone():
    model = make()
    before = torch.get_rng_state()
    drawn(model, [[3]], max_new_tokens=3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_stop_tokens_hold_their_row_and_end_when_all_have_stopped():
    model, prompts = make(), random_rows([3, 5, 2])
    free = drawn(model, prompts, max_new_tokens=30, seed=3)
    stop = [int(free[2, 0]), int(free[4, 1])]
    held = drawn(model, prompts, max_new_tokens=30, seed=3, stop=stop)
    first = [next((t for t in range(30) if int(free[t, row]) in stop), None) for row in (0, 1)]
    for row, at in enumerate(first):
        assert torch.equal(held[: at + 1, row], free[: at + 1, row])
        assert (held[at:, row] == held[at, row]).all()
    everything = drawn(model, prompts, max_new_tokens=30, seed=3, stop=range(V))
    assert everything.shape == (1, 3)


def test_a_stop_token_in_the_prompt_does_not_stop():
    assert len(drawn(make(), [[1, 2, 5]], max_new_tokens=4, seed=0, stop=[5])) >= 1


@pytest.mark.parametrize("training", [True, False])
def test_mode_is_given_back_whatever_happens(training):
    model = make(dropout=0.5).train(training)
    drawn(model, [[1]], max_new_tokens=2, temperature=0)
    assert model.training is training
    half_way = stream(model, [[1]], max_new_tokens=9)
    next(half_way)
    half_way.close()
    assert model.training is training
    for bad in ({"prompts": []}, {"prompts": [[V]]}, {"prompts": [[1]], "max_new_tokens": -1}):
        with pytest.raises(ValueError):
            list(stream(model, **bad))
        assert model.training is training


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"temperature": -1}, "temperature must be 0"),
        ({"temperature": float("nan")}, "temperature must be 0"),
        ({"temperature": float("inf")}, "temperature must be 0"),
        ({"top_k": 0}, "top_k must be a whole number from 1"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"top_p": 1.5}, "top_p must be above 0"),
        ({"max_new_tokens": -1}, "max_new_tokens must be a whole number from 0, got -1"),
        ({"prompts": []}, "prompts must hold at least one row"),
        ({"prompts": [[1], []]}, "prompts must hold .*each row at least one token"),
        ({"prompts": [[V]]}, "vocab_size - 1 = 16, got 17"),
        ({"prompts": [[-1]]}, "got -1"),
    ],
)
def test_bad_arguments_are_named(choice, message):
    prompts = choice.pop("prompts", [[1]])
    with pytest.raises(ValueError, match=message):
        list(stream(make(), prompts, **choice))


def test_no_tokens_wanted_none_given():
    assert list(stream(make(), [[1]], max_new_tokens=0)) == []


# generate

TEXTS = [
    "Das Café zählt 12 Gäste – naïve Σ-Zeichen, 日本語 and emoji 🙂🙃.",
    "the cat sat on the mat, the end.",
]


class Script(Decoder):
    """A decoder that wants to write a given row of ids, whatever it reads."""

    def __init__(self, ids, vocab_size):
        super().__init__(vocab_size, 256, embedding_dim=2, num_heads=1, num_layers=1)
        self.ids = ids

    def forward(
        self, tokens, targets=None, *, padding_mask=None, return_attention=True, cache=None
    ):
        if cache is not None:
            for layer in cache.layers:
                layer.length += tokens.shape[1]
        at = (tokens.shape[1] if cache is None else cache.length) - 1
        logits = torch.zeros(*tokens.shape, self.sizes["vocab_size"])
        logits[:, -1, self.ids[at] if at < len(self.ids) else END] = 9.0
        return logits, None, None


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_text_that_was_meant(kind, cached, text):
    tokenizer = train_tokenizer(TEXTS, kind, 300)
    ids = tokenizer.encode(text).ids
    model = Script(ids, tokenizer.get_vocab_size())
    pieces = list(generate(model, tokenizer, max_new_tokens=200, temperature=0, cached=cached))
    assert "".join(pieces) == tokenizer.decode(ids)
    if kind != "word":
        assert "".join(pieces) == text
    assert all(pieces) and not any("\ufffd" in piece for piece in pieces)
    assert len(pieces) > 5


def test_half_a_character_waits_and_is_not_lost():
    tokenizer = train_tokenizer(["plain"], "bpe", 260)  # an emoji is four tokens
    ids = tokenizer.encode("a🙂b").ids
    assert len(ids) == 6
    model = Script(ids, 260)
    assert list(generate(model, tokenizer, max_new_tokens=50, temperature=0)) == ["a", "🙂", "b"]
    for cut in range(7):  # the budget, or the end, comes in the middle of it
        pieces = list(generate(model, tokenizer, max_new_tokens=cut, temperature=0))
        assert "".join(pieces) == tokenizer.decode(ids[:cut])
    early = Script(ids[:3], 260)
    assert "".join(generate(early, tokenizer, temperature=0)) == tokenizer.decode(ids[:3])


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_pieces_of_a_random_model_join_to_the_whole(kind):
    tokenizer = train_tokenizer(TEXTS, kind, 300)
    model = make(torch.float32, vocab_size=tokenizer.get_vocab_size(), block_size=16)
    for seed in range(3):
        choice = {"max_new_tokens": 60, "seed": seed, "temperature": 2.0}
        ids = [int(t) for t in stream(model, [tokenizer.encode("the cat").ids], **choice)]
        pieces = generate(model, tokenizer, "the cat", stop=(), banned=(), **choice)
        prompt = tokenizer.encode("the cat").ids
        whole = tokenizer.decode(prompt + ids)
        assert tokenizer.decode(prompt) + "".join(pieces) == whole


def test_generate_begins_a_new_passage_and_ends_at_stop():
    tokenizer = train_tokenizer(TEXTS, "bpe", 300)
    model = make(torch.float32, vocab_size=300, block_size=16)
    ids = [int(t) for t in stream(model, [[END]], max_new_tokens=20, seed=0)]
    assert "".join(
        generate(model, tokenizer, max_new_tokens=20, seed=0, stop=(), banned=())
    ) == tokenizer.decode(ids)
    for stop in ([ids[7]], iter([ids[7]])):
        write = inspect.unwrap(generate)
        stopped = "".join(write(model, tokenizer, max_new_tokens=20, seed=0, stop=stop))
        assert stopped == tokenizer.decode(ids[: ids.index(ids[7])])
    with pytest.raises(ValueError, match="top_k must be a whole number from 1"):
        list(generate(model, tokenizer, top_k=0))


def test_generate_names_every_argument_of_stream():
    theirs = inspect.signature(inspect.unwrap(stream)).parameters
    ours = inspect.signature(inspect.unwrap(generate)).parameters
    own = {"decoder", "tokenizer", "prompt"}
    assert set(ours) - own == set(theirs) - {"decoder", "prompts"}
    for name in set(ours) - own - {"stop", "banned"}:
        assert ours[name] == theirs[name]


def test_a_word_behind_an_unknown_one_has_its_space():
    tokenizer = train_tokenizer(TEXTS, "word", 60)
    model = make(torch.float32, vocab_size=60, block_size=16)
    for prompt in ("zzzyzx", "the zzzyzx"):
        assert tokenizer.encode(prompt).ids[-1] == UNK
        said = "".join(generate(model, tokenizer, prompt, max_new_tokens=4, seed=0, stop=()))
        assert said.startswith(" ") and said.strip()


def test_a_word_behind_a_space_has_no_second_one():
    tokenizer = train_tokenizer(TEXTS, "word", 60)
    model = make(torch.float32, vocab_size=60, block_size=16)
    plain, spaced = (
        "".join(generate(model, tokenizer, prompt, max_new_tokens=4, seed=0, stop=()))
        for prompt in ("the", "the ")
    )
    assert plain == " " + spaced and not spaced.startswith(" ")


def test_special_tokens_are_never_drawn_by_generate():
    """A model that wants nothing but <unk> and <pad> writes something else; stream does what it is told."""
    tokenizer = train_tokenizer(TEXTS, "word", 60)
    V = tokenizer.get_vocab_size()
    model = make(torch.float32, vocab_size=V, block_size=16)
    with torch.no_grad():
        model.projection.bias[:2] = 50.0
    wanted = [int(t) for t in stream(model, [[5]], max_new_tokens=20, seed=0)]
    assert set(wanted) <= {0, 1}
    text = "".join(generate(model, tokenizer, "the", max_new_tokens=20, seed=0, stop=()))
    assert text.split() and not {"<unk>", "<pad>", "<mask>"} & set(text.split())
    drawn = [int(t) for t in stream(model, [[5]], max_new_tokens=20, seed=0, banned=[0, 1, 3])]
    assert not {0, 1, 3} & set(drawn)


def test_generate_decodes_only_the_end_of_a_long_text():
    """The time of a token must not grow with the text: no call decodes more than a few tokens."""
    tokenizer = train_tokenizer(TEXTS, "char", 60)
    model = make(torch.float32, vocab_size=tokenizer.get_vocab_size(), block_size=16)
    watched = Mock(spec=tokenizer, wraps=tokenizer)
    list(generate(model, watched, "the", max_new_tokens=200, seed=0, stop=()))
    lengths = [len(call.args[0]) for call in watched.decode.call_args_list]
    assert len(lengths) > 200 and max(lengths) < 10


def test_a_temperature_beyond_float32_is_the_flattest_choice():
    """Found by random input: a score that is banned, minus infinity, stays so."""
    logits = torch.tensor([[1.0, 2.0, float("-inf")]])
    weights = probabilities(logits, temperature=5e231)
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0.0]]))


def test_a_top_p_beyond_float32_is_the_likeliest_token():
    """Found by random input: no token would have been left."""
    weights = probabilities(torch.tensor([[1.0, 2.0]]), top_p=1e-254)
    torch.testing.assert_close(weights, torch.tensor([[0.0, 1.0]]))


def test_a_full_cache_refuses_another_position():
    cache, one = LayerCache(2), torch.ones(1, 1, 1, 4)
    for _ in range(2):
        cache.append(one, one)
    with pytest.raises(ValueError, match="cache must have room for 3 positions, got one for 2"):
        cache.append(one, one)
    assert cache.length == 2


def test_a_decoder_without_a_bias_writes_the_same_with_a_cache():
    decoder = make()
    decoder.projection = nn.Linear(decoder.projection.in_features, V, bias=False).double()
    assert not is_standard(decoder)
    with_cache, without = (
        [next_.tolist() for next_ in stream(decoder, [[1, 2]], max_new_tokens=5, seed=0, cached=c)]
        for c in (True, False)
    )
    assert with_cache == without


def test_each_part_of_a_decoder_has_its_mode_back_after_a_stream():
    decoder = make().train()
    decoder.blocks[0].eval()
    before = [part.training for part in decoder.modules()]
    list(stream(decoder, [[1, 2]], max_new_tokens=2, seed=0))
    assert [part.training for part in decoder.modules()] == before and len(set(before)) == 2


def test_what_a_stream_draws_may_be_trained_on():
    model = make()
    token = next(stream(model, [[1], [2]], seed=0))
    assert not token.is_inference() and torch.is_grad_enabled()
    model(token[:, None], token[:, None], return_attention=False).loss.backward()


def test_a_full_row_shortens_all_rows():
    model, seen = make(), []
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    short, long = random_rows([3, SIZE])
    drawn(model, [short, long], max_new_tokens=2, cached=False)
    assert seen == [SIZE, SIZE // 2]

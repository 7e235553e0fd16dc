from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from transformer_lib.attention_head import AttentionHead
from transformer_lib.batches import pad
from transformer_lib.block import Block
from transformer_lib.decoder import Decoder
from transformer_lib.feed_forward import FeedForward
from transformer_lib.multi_head_attention import MultiHeadAttention
from transformer_lib.tokens import END


def check_sampling(
    temperature: float | int, top_k: int | None, top_p: float | int | None
) -> None:
    """Raise a ValueError that names the first argument out of range."""
    if not 0 <= temperature < float("inf"):
        raise ValueError(
            f"temperature must be 0 (greedy) or above, got {temperature}"
        )
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1 or None, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(
            f"top_p must be above 0 and at most 1, or None, got {top_p}"
        )


def probabilities(
    logits: Float[Tensor, "batch vocab"],
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
) -> Float[Tensor, "batch vocab"]:
    """What to draw the next token from: (B, V), each row sums to 1.

    temperature divides the logits; 0 puts everything on the largest. top_k
    keeps the k most probable (Fan et al. 2018). top_p keeps the fewest that
    together reach p (Holtzman et al. 2020), after temperature and top_k.
    """
    check_sampling(temperature, top_k, top_p)
    logits, V = logits.float(), logits.shape[-1]
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), V).float()
    below = logits - logits.amax(-1, keepdim=True)  # no overflow
    logits = below / max(temperature, 1e-30)
    if top_k is not None and top_k < V:
        best, index = logits.topk(top_k)
        logits = torch.full_like(logits, float("-inf")).scatter(-1, index, best)
    weights = logits.softmax(-1)
    if top_p is not None and top_p < 1:
        ordered, index = weights.sort(descending=True, stable=True)
        before = F.pad(ordered.cumsum(-1)[..., :-1], (1, 0))
        ordered = ordered.masked_fill(before >= top_p, 0)
        weights = torch.zeros_like(weights).scatter(-1, index, ordered)
        weights = weights / weights.sum(-1, keepdim=True)
    return weights


def choose(
    logits: Float[Tensor, "batch vocab"],
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch 1"]:
    """Draw the next token of every row, (B, 1), from probabilities(...)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    weights = probabilities(logits, temperature, top_k, top_p)
    return torch.multinomial(weights, 1, generator=generator)


class LayerCache:
    """The keys and values that one attention layer has seen.

    capacity: positions it can hold, in memory set aside at the first use. It
    also keeps the layer's stacked weights, so that they are put together once
    for a generation and not once for a token.
    """

    def __init__(self, capacity: int):
        self.capacity, self.length = capacity, 0
        self.memory = self.weights = None

    def stacked(self, attention) -> tuple[Tensor, Tensor]:
        """attention.stacked(), from the first call kept."""
        if self.weights is None:
            self.weights = attention.stacked()
        return self.weights

    def put(self, new: Float[Tensor, "two batch heads time head"]):
        """Add keys and values, (2, B, H, T, D); return all keys, all values."""
        if self.memory is None:
            _, B, H, _, D = new.shape
            self.memory = new.new_empty(2, B, H, self.capacity, D)
        start, self.length = self.length, self.length + new.shape[3]
        self.memory[:, :, :, start : self.length] = new
        return self.memory[:, :, :, : self.length].unbind(0)

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k, v (B, H, T, D); return all so far, each (B, H, past + T, D)."""
        return self.put(torch.stack((k, v)))


class Cache:
    """The key-value cache of a decoder: one LayerCache a layer (Shazeer 2019).

    `decoder(new_tokens, cache=cache)` computes the new positions only. It
    serves one batch of one generation, with weights that do not change.
    """

    def __init__(self, decoder: Decoder):
        capacity = decoder.sizes["block_size"]
        self.layers = [LayerCache(capacity) for _ in decoder.blocks]

    @property
    def length(self) -> int:
        """How many positions it holds."""
        return self.layers[0].length

    def clear(self) -> None:
        """Forget the positions, keep the memory and the stacked weights."""
        for layer in self.layers:
            layer.length = 0


def norm_of(norm: nn.LayerNorm) -> tuple:
    """What torch.layer_norm takes after its input."""
    return norm.normalized_shape, norm.weight, norm.bias, norm.eps


def map_of(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Bias and transposed weight: `b + x @ W` is the linear map."""
    return linear.bias, linear.weight.T


class OneToken:
    """A decoder's forward for one new token a row, without its modules.

    decoder: its weights are gathered here, once. cache: holds the past.
    """

    def __init__(self, decoder: Decoder, cache: Cache):
        self.cache, self.num_heads = cache, decoder.sizes["num_heads"]
        self.words = decoder.token_embedding.weight
        self.positions = decoder.position_embedding.weight
        self.last = norm_of(decoder.final_norm), *map_of(decoder.projection)
        self.layers = []
        for block, layer in zip(decoder.blocks, cache.layers, strict=True):
            weight, bias = layer.stacked(block.attention)
            attend = norm_of(block.attention_norm), bias, weight.T
            join = map_of(block.attention.projection)
            expand = map_of(block.feed_forward.expand)
            expand = norm_of(block.feed_forward_norm), *expand
            contract = map_of(block.feed_forward.contract)
            self.layers.append((layer, attend, join, expand, contract))

    def __call__(
        self,
        tokens: Int[Tensor, "batch"],
        padding_mask: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch vocab"]:
        """tokens (B,), one new id a row -> logits (B, V) of the next."""
        B, places, seen = len(tokens), self.cache.length, None
        if padding_mask is not None:
            places, seen = padding_mask.sum(1) - 1, padding_mask[:, None, None]
        x = F.embedding(tokens, self.words) + self.positions[places]  # (B, C)
        for layer, attend, join, expand, contract in self.layers:
            qkv = normed(x, *attend).view(B, 3, self.num_heads, 1, -1)
            qkv = qkv.transpose(0, 1)  # (3, B, H, 1, D)
            k, v = layer.put(qkv[1:])  # (B, H, past + 1, D)
            mixed = F.scaled_dot_product_attention(qkv[0], k, v, seen)
            x = x + torch.addmm(join[0], mixed.reshape(B, -1), join[1])
            x = x + torch.addmm(contract[0], normed(x, *expand).relu_(), contract[1])
        return normed(x, *self.last)


def normed(x: Tensor, norm: tuple, bias: Tensor, weight: Tensor) -> Tensor:
    """A layer norm and a linear map in two calls: (B, C) -> (B, W)."""
    return torch.addmm(bias, torch.layer_norm(x, *norm), weight)


PLAIN = {
    *(Decoder, Block, MultiHeadAttention, AttentionHead, FeedForward),
    *(nn.Embedding, nn.LayerNorm, nn.Linear, nn.Dropout, nn.ModuleList),
}


def is_plain(decoder: nn.Module) -> bool:
    """True if OneToken computes what the decoder does: all its modules are of
    the book's classes and PyTorch's, with no hook and no forward of their own."""
    return all(
        type(module) in PLAIN
        and not module._forward_hooks
        and not module._forward_pre_hooks
        and "forward" not in vars(module)
        for module in decoder.modules()
    )


def left_pad(
    prompts: Sequence[Sequence[int]],
) -> tuple[Int[Tensor, "batch time"], Bool[Tensor, "batch time"] | None]:
    """Rows of ids as one tensor (B, T) that ends where they end, and the mask
    that is True at real tokens; None if all rows are equally long."""
    if not len(prompts) or not all(len(row) for row in prompts):
        raise ValueError(
            "prompts must hold at least one row, each of at least one id"
        )
    flipped, mask = pad([list(row)[::-1] for row in prompts])
    return flipped.flip(1), None if mask.all() else mask.flip(1)


class Continuation:
    """Rows of text that grow, and the logits of what comes next.

    prompts: as in stream. cached: remember keys and values. When the rows have
    outgrown block_size, the last half of block_size is kept.
    """

    def __init__(self, decoder: Decoder, prompts, cached: bool = True):
        context, mask = left_pad(prompts)
        device = next(decoder.parameters()).device
        self.context = context.to(device)
        self.mask = mask if mask is None else mask.to(device)
        self.decoder, self.size = decoder, decoder.sizes["block_size"]
        self.cache = Cache(decoder) if cached else None
        fast = cached and is_plain(decoder)
        self.one = OneToken(decoder, self.cache) if fast else None

    def logits(self) -> Float[Tensor, "batch vocab"]:
        """The scores (B, V) of every row's next token."""
        if self.context.shape[1] > self.size:
            self.shorten(max(1, self.size // 2))
        if self.cache is None:
            return self.decoder(
                self.context, None, self.mask, return_attention=False
            )[0][:, -1]
        past = self.cache.length
        new = self.context[:, past:]
        if self.one and past and new.shape[1] == 1:
            return self.one(new[:, 0], self.mask)
        return self.decoder(new, None, self.mask, cache=self.cache)[0][:, -1]

    def shorten(self, kept: int) -> None:
        """Forget all but the last `kept` tokens: they get new positions."""
        self.context = self.context[:, -kept:]
        if self.mask is not None:
            mask = self.mask[:, -kept:]
            self.mask = None if mask.all() else mask
        if self.cache is not None:
            self.cache.clear()

    def add(self, chosen: Int[Tensor, "batch 1"]) -> None:
        """Write one more token into every row."""
        self.context = torch.cat([self.context, chosen], 1)
        if self.mask is not None:
            self.mask = F.pad(self.mask, (0, 1), value=True)


@torch.inference_mode()
def stream(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    tokens: int = 100,
    temperature: float | int = 1.0,
    top_k: int | None = None,
    top_p: float | int | None = None,
    stop: Sequence[int] = (),
    seed: int | None = None,
    cached: bool = True,
) -> Iterator[Int[Tensor, "batch"]]:
    """Yield the next token of every prompt, (B,), up to `tokens` times.

    prompts: rows of ids, of any lengths above 0. The decoder sees at most
    block_size tokens: past that, it goes on with the last half of them. stop:
    ids after which a row repeats its stop token; all stopped ends it. seed:
    makes the draws repeatable. cached=False computes every position anew at
    each step: the same tokens, more slowly. temperature, top_k, top_p: as in
    probabilities.
    """
    check_sampling(temperature, top_k, top_p)
    if tokens < 0:
        raise ValueError(f"tokens must be at least 0, got {tokens}")
    was_training = decoder.training
    text = Continuation(decoder, prompts, cached)
    device = text.context.device
    generator = torch.Generator(device)
    generator.seed() if seed is None else generator.manual_seed(seed)
    stops = torch.tensor(list(stop), dtype=torch.long, device=device)
    stopped = torch.zeros_like(text.context[:, :1], dtype=torch.bool)
    decoder.eval()
    try:
        for _ in range(tokens):
            logits = text.logits()
            chosen = choose(logits, temperature, top_k, top_p, generator)
            if len(stops):
                chosen = torch.where(stopped, text.context[:, -1:], chosen)
                stopped |= torch.isin(chosen, stops)
            yield chosen[:, 0]
            if len(stops) and stopped.all():
                return
            text.add(chosen)
    finally:
        decoder.train(was_training)


def generate(
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    tokens: int = 100,
    stop: Sequence[int] = (END,),
    **choice,
) -> Iterator[str]:
    """Yield the text that follows a prompt, piece by piece, as it is drawn.

    An empty prompt begins a new passage. tokens: the most to draw. choice:
    temperature, top_k, top_p, seed, cached, as in stream.
    `"".join(generate(...))` is the whole.
    """
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids or [END]
    text, drawn = "", []
    for token in stream(decoder, [ids], tokens=tokens, stop=stop, **choice):
        if int(token) in stop:
            break
        drawn.append(int(token))
        longer = tokenizer.decode(drawn)
        if longer.endswith("\ufffd"):  # half a character waits for the rest
            continue
        if longer != text:
            yield longer[len(text) :]
        text = longer
    if rest := tokenizer.decode(drawn)[len(text) :]:
        yield rest

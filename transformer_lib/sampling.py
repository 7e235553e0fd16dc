from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor

from transformer_lib.batches import pad
from transformer_lib.decoder import Decoder
from transformer_lib.tokens import END


class LayerCache:
    """The keys and values that one attention layer has seen, in memory set aside at the start.

    capacity: positions it can hold. It also keeps the layer's stacked weights, so that
    they are put together once for a generation and not once for a token.
    """

    def __init__(self, capacity: int):
        self.capacity, self.length = capacity, 0
        self.keys = self.values = self.weights = None

    def stacked(self, attention) -> tuple[Tensor, Tensor]:
        """attention.stacked(), from the first call kept."""
        if self.weights is None:
            self.weights = attention.stacked()
        return self.weights

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values (B, H, T, D); return all so far, (B, H, past + T, D)."""
        if self.keys is None:
            B, H, _, D = k.shape
            self.keys, self.values = k.new_empty(2, B, H, self.capacity, D)
        start, self.length = self.length, self.length + k.shape[2]
        self.keys[:, :, start : self.length] = k
        self.values[:, :, start : self.length] = v
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class Cache:
    """The key-value cache of a decoder: `decoder(new_tokens, cache=cache)` then computes
    the new positions only (Shazeer 2019). Made for one batch of one generation, with
    weights that do not change meanwhile.
    """

    def __init__(self, decoder: Decoder):
        self.layers = [LayerCache(decoder.sizes["block_size"]) for _ in decoder.blocks]

    @property
    def length(self) -> int:
        """How many positions it holds."""
        return self.layers[0].length

    def clear(self) -> None:
        """Forget the positions, keep the memory and the stacked weights."""
        for layer in self.layers:
            layer.length = 0


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise a ValueError that names the first argument out of range."""
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or above, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1 or None, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, or None, got {top_p}")


def probabilities(
    logits: Float[Tensor, "batch vocab"],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "batch vocab"]:
    """What to draw the next token from: (B, V), each row sums to 1.

    temperature divides the logits; 0 puts everything on the largest. top_k keeps the k
    most probable (Fan et al. 2018). top_p keeps the fewest that together reach p
    (Holtzman et al. 2020), after temperature and top_k.
    """
    check_sampling(temperature, top_k, top_p)
    logits = logits.float()
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        best, index = logits.topk(top_k)
        logits = torch.full_like(logits, float("-inf")).scatter(-1, index, best)
    weights = logits.softmax(-1)
    if top_p is not None and top_p < 1:
        ordered, index = weights.sort(descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered  # the mass of those more probable
        ordered = ordered.masked_fill(before >= top_p, 0)
        weights = torch.zeros_like(weights).scatter(-1, index, ordered)
        weights = weights / weights.sum(-1, keepdim=True)
    return weights


@torch.inference_mode()
def stream(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: Sequence[int] = (),
    seed: int | None = None,
    cached: bool = True,
) -> Iterator[Int[Tensor, "batch"]]:
    """Yield the next token of every prompt, (B,), up to `tokens` times.

    prompts: rows of ids, of any lengths above 0; shorter ones are padded on the left.
    The decoder sees at most block_size positions: whenever they are full, it goes on
    with the last half of them. stop: ids after which a row repeats its stop token; all
    stopped ends it. seed: makes the draws repeatable. cached=False computes every
    position anew at each step: the same tokens, more slowly.
    """
    check_sampling(temperature, top_k, top_p)
    if tokens < 0:
        raise ValueError(f"tokens must be at least 0, got {tokens}")
    if not len(prompts) or not all(len(row) for row in prompts):
        raise ValueError("prompts must hold at least one row, each of at least one id")
    device = next(decoder.parameters()).device
    size = decoder.sizes["block_size"]
    shortest = min(map(len, prompts))  # real tokens in the shortest row
    flipped, mask = pad([list(row)[::-1] for row in prompts])
    context, mask = flipped.flip(1).to(device), mask.flip(1).to(device)
    generator = torch.Generator(device)
    generator.seed() if seed is None else generator.manual_seed(seed)
    stops = torch.tensor(list(stop), device=device, dtype=context.dtype)
    stopped = torch.zeros(len(context), 1, dtype=torch.bool, device=device)
    cache, new, was_training = Cache(decoder), context, decoder.training
    decoder.eval()
    try:
        for _ in range(tokens):
            if context.shape[1] > size:
                half = max(1, size // 2)
                context, mask = context[:, -half:], mask[:, -half:]
                cache.clear()
                new = context
            padding = mask if shortest < context.shape[1] else None
            if cached:
                logits = decoder(new, padding_mask=padding, cache=cache)[0]
            else:
                logits = decoder(context, padding_mask=padding, return_attention=False)[0]
            if temperature == 0:
                chosen = logits[:, -1].argmax(-1, keepdim=True)
            else:
                weights = probabilities(logits[:, -1], temperature, top_k, top_p)
                chosen = torch.multinomial(weights, 1, generator=generator)
            if stop:
                chosen = torch.where(stopped, context[:, -1:], chosen)
                stopped |= torch.isin(chosen, stops)
            yield chosen[:, 0]
            if stop and bool(stopped.all()):
                return
            context, new = torch.cat([context, chosen], 1), chosen
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
            shortest += 1
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

    An empty prompt begins a new passage. tokens: the most to draw. choice: temperature,
    top_k, top_p, seed, cached, as in stream. `"".join(generate(...))` is the whole.
    """
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids or [END]
    text, drawn = "", []
    for token in stream(decoder, [ids], tokens=tokens, stop=stop, **choice):
        if int(token) in stop:
            return
        drawn.append(int(token))
        longer = tokenizer.decode(drawn)
        if not longer.endswith("\ufffd"):  # half a character waits for the rest
            yield longer[len(text):]
            text = longer
    if drawn and (rest := tokenizer.decode(drawn)[len(text):]):
        yield rest

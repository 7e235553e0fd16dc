"""Training and generation, tokens a second, beside other libraries' models of the same shape.

All models of a shape run in one process, in turn, round after round; the median round counts.
"""
import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from machine import store
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, OPTConfig, OPTForCausalLM
from x_transformers import AutoregressiveWrapper, TransformerWrapper
from x_transformers import Decoder as XDecoder

from transformer_lib.decoder import Decoder
from transformer_lib.sampling import stream
from transformer_lib.training import choose_precision

# width, heads, layers, context, vocabulary, batch
SHAPES = [(64, 2, 4, 32, 6525, 16), (128, 4, 4, 64, 65, 12), (384, 6, 6, 256, 65, 4)]
GPU_SHAPES = [(768, 12, 12, 1024, 50257, 16)]


class Plain(nn.Module):
    """A language model from torch's own encoder layers, as one would write it in ten lines."""

    def __init__(self, C, H, L, T, V):
        super().__init__()
        self.words, self.places = nn.Embedding(V, C), nn.Embedding(T, C)
        layer = nn.TransformerEncoderLayer(C, H, 4 * C, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, L, norm=nn.LayerNorm(C), enable_nested_tensor=False)
        self.head = nn.Linear(C, V)

    def forward(self, tokens):
        T = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(T, device=tokens.device)
        x = self.words(tokens) + self.places.weight[:T]
        return self.head(self.layers(x, mask=mask, is_causal=True))


def models(C, H, L, T, V):
    """name: (model, logits(model, tokens)) for ours and for the peers, with random weights."""
    common = dict(vocab_size=V, dropout=0.0)
    opt = OPTForCausalLM(OPTConfig(
        hidden_size=C, word_embed_proj_dim=C, ffn_dim=4 * C, num_hidden_layers=L, num_attention_heads=H,
        max_position_embeddings=T, attention_dropout=0.0, activation_function="relu", pad_token_id=0, **common))
    gpt = GPT2LMHeadModel(GPT2Config(
        n_embd=C, n_layer=L, n_head=H, n_positions=T, vocab_size=V, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, activation_function="relu", bos_token_id=0, eos_token_id=0))
    x = TransformerWrapper(num_tokens=V, max_seq_len=T, attn_layers=XDecoder(dim=C, depth=L, heads=H, attn_dim_head=C // H,
                                                                          attn_flash=True))
    ours = Decoder(V, T, embedding_dim=C, num_heads=H, num_layers=L)
    return {
        "ours": (ours, lambda m, t: m(t, return_attention=False)[0]),
        "transformers OPT": (opt, lambda m, t: m(t, use_cache=False).logits),
        "transformers GPT-2": (gpt, lambda m, t: m(t, use_cache=False).logits),
        "x-transformers": (x, lambda m, t: m(t)),
        "nn.TransformerEncoder": (Plain(C, H, L, T, V), lambda m, t: m(t)),
    }


def rounds(works, seconds):
    """The median seconds of each work, run in turn until the time is spent (three times at least)."""
    for work in works.values():
        work()
    spent = {name: [] for name in works}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(spent["ours"]) < 3:
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in spent.items()}


def peak(device, dtype):
    """Matrix-product FLOP/s of the machine: the best of several sizes."""
    best = 0.0
    for n in (512, 1024, 2048):
        a, b = torch.randn(2, n, n, device=device, dtype=dtype)
        for _ in range(5):
            started = time.perf_counter()
            a @ b
            if device == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * n**3 / (time.perf_counter() - started))
    return best


def training(shape, device, precision, seconds):
    C, H, L, T, V, B = shape
    tokens = torch.randint(V, (B, T + 1), device=device)
    works = {}
    for name, (model, logits) in models(C, H, L, T, V).items():
        model.to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

        def step(model=model, logits=logits, optimizer=optimizer):
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                found = logits(model, tokens[:, :-1])
                loss = F.cross_entropy(found.flatten(0, 1).float(), tokens[:, 1:].flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        works[name] = step
        if name == "ours":
            inner = sum(p.numel() for n, p in model.named_parameters() if "embedding" not in n)
    times = rounds(works, seconds)
    rates = {name: B * T / t for name, t in times.items()}
    flops = (6 * inner + 12 * L * C * T) * rates["ours"]
    return rates, flops


@torch.inference_mode()
def generation(shape, device, seconds):
    C, H, L, T, V, _ = shape
    prompt, new, works = torch.randint(1, V, (1, 4), device=device), T - 5, {}
    for name, (model, _) in models(C, H, L, T, V).items():
        model.to(device).eval()
        if name == "ours":
            def work(model=model):
                return list(stream(model, prompt.tolist(), tokens=new, temperature=0))
        elif name.startswith("transformers"):
            def work(model=model):
                return model.generate(prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False,
                                      use_cache=True, pad_token_id=0)
        elif name == "x-transformers":
            wrapped = AutoregressiveWrapper(model)

            def work(wrapped=wrapped):
                return wrapped.generate(prompt, new, temperature=0.0, cache_kv=True)
        else:
            continue  # it has no cache
        works[name] = work
    return {name: new / t for name, t in rounds(works, seconds).items()}


def row(shape, what, precision, rates, **more):
    best = max((name for name in rates if name != "ours"), key=rates.get)
    print(f"{shape} {what} {precision}: ours {rates['ours']:,.0f} tokens/s, best peer {best} "
          f"{rates[best]:,.0f}, ratio {rates['ours'] / rates[best]:.2f}", flush=True)
    return {"shape": shape, "what": what, "precision": precision, "tokens_per_second": rates,
            "best_peer": best, "ratio": rates["ours"] / rates[best], **more}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=15, help="for each comparison")
    seconds = parser.parse_args().seconds
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    results = []
    for shape in SHAPES + (GPU_SHAPES if device == "cuda" else []):
        plain = None
        for precision in dict.fromkeys(["no", choose_precision(device)]):
            top = peak(device, torch.bfloat16 if precision == "bf16" else torch.float32)
            rates, flops = training(shape, device, precision, seconds)
            plain = plain or max(rate for name, rate in rates.items() if name != "ours")
            results.append(row(shape, "training", precision, rates, share_of_peak=flops / top,
                               to_best_peer_in_fp32=rates["ours"] / plain))
        results.append(row(shape, "generation", "no", generation(shape, device, seconds)))
    store("speed", results)


if __name__ == "__main__":
    main()

"""A model of GPT-2's size on one GPU: whole training steps in bfloat16, tokens a second, beside peers.

python benchmarks/gpu.py            on a GPU: 12 layers, 12 heads, 768 wide, context 1024
python benchmarks/gpu.py --tiny     the same on whatever is here, in seconds: only that it runs

Each model is built, compiled and warmed in a process of its own, all at once; then they are timed
one after the other, while the others wait. A step is forward, backward, clipping and the optimizers:
the book's default recipe (Muon and AdamW) for ours, PyTorch's fused AdamW for the peers and, in a
second row, for ours; in one more row of ours, uncompiled, torch.optim.Muon. What is not ready in
time is left out, and the row says so.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
import types
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

FULL = dict(C=768, H=12, L=12, T=1024, V=50304, B=16)
TINY = dict(C=32, H=2, L=2, T=32, V=96, B=2)
NOMINAL = {
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
}  # bfloat16, dense, by the makers' data sheets


class Fused(nn.Module):
    """The same decoder as one writes it for speed alone: one matrix for queries, keys and values."""

    def __init__(self, C, H, L, T, V, **_):
        super().__init__()
        self.H, self.words, self.places = H, nn.Embedding(V, C), nn.Embedding(T, C)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.LayerNorm(C),
                    nn.Linear(C, 3 * C),
                    nn.Linear(C, C),
                    nn.LayerNorm(C),
                    nn.Linear(C, 4 * C),
                    nn.Linear(4 * C, C),
                ]
            )
            for _ in range(L)
        )
        self.norm, self.head = nn.LayerNorm(C), nn.Linear(C, V)

    def forward(self, tokens):
        x = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        for first, qkv, projection, second, expand, contract in self.layers:
            parts = qkv(first(x)).unflatten(-1, (3, self.H, -1)).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(*parts, is_causal=True)
            x = x + projection(attended.transpose(1, 2).flatten(2))
            x = x + contract(expand(second(x)).relu())
        return self.head(self.norm(x))


def library():
    """Our Decoder and make_optimizers, without what the package needs for other things."""
    root = Path(__file__).resolve().parents[1]
    package = types.ModuleType("transformer_lib")
    package.__path__ = [str(root / "transformer_lib")]
    sys.modules["transformer_lib"] = package
    from transformer_lib.decoder import Decoder

    try:
        from transformer_lib.optimizers import make_optimizers
    except ImportError:
        from transformer_lib.training import make_optimizers
    return Decoder, make_optimizers


def ours(sizes):
    Decoder, make_optimizers = library()
    model = Decoder(
        sizes["V"],
        sizes["T"],
        embedding_dim=sizes["C"],
        num_heads=sizes["H"],
        num_layers=sizes["L"],
    )

    def loss(tokens, targets):
        return model(tokens, targets, return_attention=False)[1]

    def with_pytorchs():
        first, muon = make_optimizers(model, 1e-3)
        return [first, torch.optim.Muon(muon.param_groups[0]["params"], 1e-3)]

    recipes = {
        "default": lambda: make_optimizers(model, 1e-3),
        "AdamW": lambda: make_optimizers(model, 1e-3, muon=False),
    }
    if hasattr(torch.optim, "Muon"):
        recipes["PyTorch's Muon"] = with_pytorchs
    return model, loss, recipes


def peer(model, logits):
    """A model, its loss from its logits, and AdamW as nanoGPT has it."""

    def loss(tokens, targets):
        return F.cross_entropy(logits(tokens).float().flatten(0, 1), targets.flatten())

    def adamw():
        matrices = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim < 2]
        groups = [dict(params=matrices), dict(params=others, weight_decay=0.0)]
        return [torch.optim.AdamW(groups, 1e-3, (0.9, 0.95), weight_decay=0.1, fused=True)]

    return model, loss, {"AdamW": adamw}


def gpt2(sizes):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_embd=sizes["C"],
        n_layer=sizes["L"],
        n_head=sizes["H"],
        n_positions=sizes["T"],
        vocab_size=sizes["V"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        activation_function="relu",
        tie_word_embeddings=False,
        attn_implementation="sdpa",
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    return peer(model, lambda tokens: model(tokens, use_cache=False).logits)


def fused(sizes):
    model = Fused(**sizes)
    return peer(model, model)


MODELS = {"ours": ours, "transformers GPT-2": gpt2, "fused by hand": fused}


def contestant(name, sizes, device, compiled, pipe):
    """In a process of its own: build and warm, say so, wait for the word, time, send the rows."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model, loss, recipes = MODELS[name](sizes)
    model.to(device).train()
    rows = torch.randint(sizes["V"], (sizes["B"], sizes["T"] + 1), device=device)
    tokens, targets = rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
    run = torch.compile(loss) if compiled else loss

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    def learn(optimizers=()):
        """One step; without optimizers forward and backward alone."""
        low = torch.autocast(device, torch.bfloat16) if device == "cuda" else nullcontext()
        with low:
            found = run(tokens, targets)
        found.backward()
        if optimizers:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        return found

    def timed(optimizers=(), warm=4):
        for _ in range(warm):
            learn(optimizers)
        wait()
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            for _ in range(sizes["steps"]):
                learn(optimizers)
            wait()
            seconds.append((time.perf_counter() - started) / sizes["steps"])
        return statistics.median(seconds)

    began, found = time.perf_counter(), None
    if compiled:
        recipes.pop("PyTorch's Muon", None)  # the same whether the model is compiled or not
    optimizers = {recipe: make() for recipe, make in recipes.items()}
    if compiled:  # the others' memory is not needed before their turn
        found = float(learn().detach())
        for made in optimizers.values():
            learn(made)
        wait()
        if device == "cuda":
            torch.cuda.empty_cache()
    pipe.send({"ready_s": time.perf_counter() - began, "first_loss": found})
    pipe.recv()
    # what a token is multiplied with: all weights but the two tables
    tables = sizes["C"] * (sizes["V"] + sizes["T"])
    N = sum(p.numel() for p in model.parameters() if p.ndim > 1) - tables
    flops = 6 * N + 12 * sizes["L"] * sizes["C"] * sizes["T"]  # a token (Chowdhery et al. 2022)
    alone, size = timed(), sizes["B"] * sizes["T"]
    for recipe, made in optimizers.items():
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        whole = timed(made)
        row = {
            "model": name,
            "compiled": compiled,
            "recipe": recipe,
            "step_ms": 1000 * whole,
            "forward_backward_ms": 1000 * alone,
            "optimizers_share": 1 - alone / whole,
            "tokens_per_second": size / whole,
            "parameters": sum(p.numel() for p in model.parameters()),
            "flops_a_token": flops,
        }
        if device == "cuda":
            row["gibibytes"] = torch.cuda.max_memory_allocated() / 2**30
        pipe.send(row)
    pipe.send(None)


def peak(device):
    """FLOP/s: the makers' figure if known, and the best matrix product measured here."""
    best, kind = 0.0, torch.bfloat16 if device == "cuda" else torch.float32
    for n in (4096, 8192) if device == "cuda" else (256,):
        a = torch.randn(n, n, device=device, dtype=kind)
        for _ in range(10):
            if device == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
            a @ a
            if device == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * n**3 / (time.perf_counter() - started))
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    known = next((value for key, value in NOMINAL.items() if key in name), best)
    return known, best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", action="store_true", help="only see that it runs")
    parser.add_argument("--ready", type=float, default=95, help="seconds to build and compile")
    parser.add_argument("--end", type=float, default=140, help="seconds after which all must end")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    arguments = parser.parse_args()
    began, device = time.perf_counter(), "cuda" if torch.cuda.is_available() else "cpu"
    if not arguments.tiny and device == "cpu":
        parser.error("there is no GPU here; see --tiny")
    sizes = (TINY | {"steps": 2}) if arguments.tiny else (FULL | {"steps": 20})
    spawn, running, results, left_out = multiprocessing.get_context("spawn"), {}, [], {}
    every = []
    # compiled, and ours uncompiled as well: it needs no time to be ready
    contests = [(name, not arguments.eager) for name in arguments.models]
    if not arguments.eager and "ours" in arguments.models:
        contests.insert(0, ("ours", False))
    for name, compiled in contests:
        mine, theirs = spawn.Pipe()
        process = spawn.Process(
            target=contestant, args=(name, sizes, device, compiled, theirs)
        )  # no daemon: the compiler starts processes of its own
        process.start()
        theirs.close()
        every.append(process)
        running[name, compiled] = process, mine

    def answer(pipe, until):
        """What comes through the pipe, or None when it comes too late or never."""
        try:
            if pipe.poll(max(0.0, began + until - time.perf_counter())):
                return pipe.recv()
        except (EOFError, OSError):
            pass
        return None

    try:
        for key, (process, pipe) in list(running.items()):
            ready = answer(pipe, arguments.ready)
            title = f"{key[0]}{', compiled' if key[1] else ''}"
            if ready is None:
                process.kill()
                process.join()
                left_out[title] = f"not ready after {arguments.ready:.0f} s, or failed"
                del running[key]
            else:
                print(f"{title}: ready after {ready['ready_s']:.0f} s, loss {ready['first_loss']}")
        nominal, measured = peak(device)
        for key, (process, pipe) in running.items():
            pipe.send("go")
            while (row := answer(pipe, arguments.end)) is not None:
                row["share_of_peak"] = row["flops_a_token"] * row["tokens_per_second"] / nominal
                results.append(row)
                print(
                    f"{row['model']}{', compiled' if row['compiled'] else ''}, {row['recipe']}: "
                    f"{row['tokens_per_second']:,.0f} tokens/s, step {row['step_ms']:.1f} ms, optimizers "
                    f"{row['optimizers_share']:.0%}, {row['share_of_peak']:.1%} of {nominal / 1e12:.0f} TFLOP/s",
                    flush=True,
                )
            process.kill()
            process.join()
    finally:
        for process in every:
            process.kill()
    sys.path.insert(0, str(Path(__file__).parent))
    from machine import store

    store(
        "gpu",
        {
            "sizes": sizes,
            "peak_flops": nominal,
            "measured_peak_flops": measured,
            "rows": results,
            "left_out": left_out,
            "seconds": time.perf_counter() - began,
        },
    )
    for name, reason in left_out.items():
        print(f"left out: {name} ({reason})")
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()

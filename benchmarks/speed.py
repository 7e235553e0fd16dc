"""Training and generation, tokens a second, beside other libraries' models of the same shape.

All models of a shape run in one process, in turn, round after round, each in another order; the
median round counts, and the quartiles of the ratio, round by round, are stored beside it. Rows are
measured minutes apart: compare within a row. Every model has random weights, ReLU, and a head of its own.
"training" is forward, backward and a fused AdamW, PyTorch's for the peers and the book's for ours;
there each model also runs compiled where there is a compiler, counts with the faster of the two, and
the row says which. "whole step" clips the gradients too, and ours takes the book's default recipe.
Both are timed with nothing dropped, and with a tenth dropped wherever a model has it. In float32, with
nothing dropped, a profile is stored: where the time of a step goes, in ours and in the best peer,
plain and compiled. On a GPU the figures go to speed_gpu.json, with --avx2 to speed_avx2.json, where
nothing is compiled.
"""

import argparse
import os
import random
import statistics
import sys
import time
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from machine import store
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, OPTConfig, OPTForCausalLM
from x_transformers import AutoregressiveWrapper, TransformerWrapper
from x_transformers import Decoder as XDecoder

from transformer_lib.decoder import Decoder
from transformer_lib.devices import choose_precision, keep_memory
from transformer_lib.optimizers import make_optimizers
from transformer_lib.sampling import stream
from transformer_lib.speed import AdamW

# width, heads, layers, context, vocabulary, batch
SHAPES = [(64, 2, 4, 32, 6525, 16), (128, 4, 4, 64, 65, 12), (384, 6, 6, 256, 65, 4)]
GPU_SHAPES = [(768, 12, 12, 1024, 50257, 16)]
DROPOUTS = (0.0, 0.1)
OURS = ("ours", "ours, compiled", "ours, AdamW")
CLOCK = time.perf_counter  # main may set another


class Plain(nn.Module):
    """A language model from torch's own encoder layers, as one would write it in ten lines."""

    def __init__(self, C, H, L, T, V, dropout):
        super().__init__()
        self.words, self.places = nn.Embedding(V, C), nn.Embedding(T, C)
        layer = nn.TransformerEncoderLayer(
            C, H, 4 * C, dropout=dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, L, norm=nn.LayerNorm(C), enable_nested_tensor=False
        )
        self.head = nn.Linear(C, V)

    def forward(self, tokens):
        T = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(T, device=tokens.device)
        x = self.words(tokens) + self.places.weight[:T]
        return self.head(self.layers(x, mask=mask, is_causal=True))


def models(C, H, L, T, V, dropout=0.0):
    """name: (model, logits(model, tokens)) for ours and for the peers, with random weights."""
    opt = OPTForCausalLM(
        OPTConfig(
            vocab_size=V,
            hidden_size=C,
            word_embed_proj_dim=C,
            ffn_dim=4 * C,
            num_hidden_layers=L,
            num_attention_heads=H,
            max_position_embeddings=T,
            dropout=dropout,
            attention_dropout=dropout,
            activation_function="relu",
            pad_token_id=0,
            tie_word_embeddings=False,
        )
    )
    gpt = GPT2LMHeadModel(
        GPT2Config(
            n_embd=C,
            n_layer=L,
            n_head=H,
            n_positions=T,
            vocab_size=V,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            activation_function="relu",
            bos_token_id=0,
            eos_token_id=0,
            tie_word_embeddings=False,
        )
    )
    for peer in (opt, gpt):
        peer.generation_config.eos_token_id = None  # nothing stops a generation early
    x = TransformerWrapper(
        num_tokens=V,
        max_seq_len=T,
        attn_layers=XDecoder(
            dim=C,
            depth=L,
            heads=H,
            attn_dim_head=C // H,
            attn_flash=True,
            attn_dropout=dropout,
            ff_dropout=dropout,
            ff_custom_activation=nn.ReLU(),
        ),
    )
    ours = Decoder(V, T, embedding_dim=C, num_heads=H, num_layers=L, dropout=dropout)
    return {
        "ours": (ours, lambda m, t: m(t, return_attention=False)[0]),
        "transformers OPT": (opt, lambda m, t: m(t, use_cache=False).logits),
        "transformers GPT-2": (gpt, lambda m, t: m(t, use_cache=False).logits),
        "x-transformers": (x, lambda m, t: m(t)),
        "nn.TransformerEncoder": (Plain(C, H, L, T, V, dropout), lambda m, t: m(t)),
    }


def rounds(works, seconds, fewest):
    """The seconds of each work in each round, until the time is spent; so many rounds at least."""
    for name, work in list(works.items()):
        try:
            work(), work()
        except Exception as error:  # no compiler here, or a model that it cannot compile
            if "compiled" not in str(name):
                raise
            print(f"{name}: left out ({type(error).__name__})", flush=True)
            del works[name]
    spent, end, names = {name: [] for name in works}, time.perf_counter() + seconds, list(works)
    order = random.Random(0)
    while time.perf_counter() < end or len(spent[names[0]]) < fewest:
        order.shuffle(names)  # nobody always comes after the same one
        for name in names:
            started = CLOCK()
            works[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent[name].append(CLOCK() - started)
    return spent


def peak(device, dtype):
    """Matrix-product FLOP/s of the machine: the best of several sizes."""
    best = 0.0
    for n in (512, 1024, 2048) + ((4096, 8192) if device == "cuda" else ()):
        a, b = torch.randn(2, n, n, device=device).to(dtype)
        for _ in range(10):
            started = time.perf_counter()
            a @ b
            if device == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2 * n**3 / (time.perf_counter() - started))
    return best


def adamw(model):
    """PyTorch's fused AdamW; the library's own with the same numbers for ours."""
    kind = AdamW if isinstance(model, Decoder) else torch.optim.AdamW
    return [kind(model.parameters(), 1e-4, fused=True)]


def step_of(model, logits, tokens, device, precision, optimizers=None, clip=False):
    """One training step as a function; its `spent` holds what the optimizers took of each."""
    plain = getattr(model, "_orig_mod", model)
    optimizers = optimizers or adamw(plain)
    parameters = list(plain.parameters())

    def step():
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            found = logits(model, tokens[:, :-1])
            loss = F.cross_entropy(found.flatten(0, 1).float(), tokens[:, 1:].flatten())
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        started = CLOCK()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        step.spent.append(CLOCK() - started)

    step.spent = []
    return step


PARTS = {  # of a step: how the names of their operations begin
    "products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "attention": ("aten::_scaled_dot_product",),
    "ReLU, norms, sums": (
        "aten::threshold",
        "aten::clamp",
        "aten::relu",
        "aten::native_layer_norm",
        "aten::add",
        "aten::mul",
        "aten::sum",
    ),
    "compiled kernels": ("## Call CompiledFxGraph",),
    "copies": ("aten::copy_", "aten::cat", "aten::fill_"),
    "optimizer": ("aten::_fused_adamw", "Optimizer."),
}


def part_of(operation):
    """The part of a step that an operation belongs to."""
    for part, beginnings in PARTS.items():
        if operation.startswith(beginnings):
            return part
    return "calls and views"


def profile(works, times=5, steps=5):
    """name: {part of a step: milliseconds}; the works take turns, the median of some times counts."""
    cpu = [torch.profiler.ProfilerActivity.CPU]
    found = {name: [] for name in works}
    for _ in range(times):
        for name, work in works.items():
            with torch.profiler.profile(activities=cpu) as seen:
                for _ in range(steps):
                    work()
            spent = dict.fromkeys([*PARTS, "calls and views"], 0.0)
            for event in seen.key_averages():
                spent[part_of(event.key)] += event.self_cpu_time_total / 1000 / steps
            found[name].append(spent)
    return {
        name: {part: statistics.median(one[part] for one in seen) for part in seen[0]}
        for name, seen in found.items()
    }


def training(shape, dropout, device, precisions, time_spent, compiled):
    """Rows of tokens a second, one a precision; all precisions take turns too."""
    C, H, L, T, V, B = shape
    tokens, works, parameters = torch.randint(V, (B, T + 1), device=device), {}, {}
    for precision in precisions:
        for name, (model, logits) in models(C, H, L, T, V, dropout).items():
            model.to(device).train()
            parameters[name] = sum(p.numel() for p in model.parameters())
            works[name, precision] = step_of(model, logits, tokens, device, precision)
            if compiled:
                works[name + ", compiled", precision] = step_of(
                    torch.compile(model), logits, tokens, device, precision
                )
            if name == "ours":  # the weights that a token is multiplied with
                N = sum(
                    p.numel()
                    for n, p in model.named_parameters()
                    if p.ndim == 2 and "embedding" not in n
                )
    tops = {p: peak(device, torch.bfloat16 if p == "bf16" else torch.float32) for p in precisions}
    times, found = rounds(works, *time_spent), []
    for precision in precisions:
        own_times = {name: t for (name, p), t in times.items() if p == precision}
        one = row(shape, "training", precision, own_times, B * T, dropout=dropout)
        flops = (6 * N + 12 * L * C * T) * one["tokens_per_second"][faster(own_times)]
        one |= {"parameters": parameters, "peak_flops": tops[precision]}
        found.append(one | {"share_of_peak": flops / tops[precision]})
    best, rates = found[0]["best_peer"], found[0]["tokens_per_second"]
    if device == "cpu" and not dropout:  # where the best peer's time goes, and ours
        names = dict.fromkeys([*OURS[:2], best.removesuffix(", compiled"), best])
        some = {name: works[name, "no"] for name in names if (name, "no") in works}
        found[0]["profile"] = profile(some)
    last = found[-1]["tokens_per_second"]
    found[-1]["to_best_peer_in_fp32"] = max(last.get(name, 0) for name in OURS[:2]) / rates[best]
    print(
        f"{shape} {dropout} dropped, training {precisions[-1]}: {found[-1]['to_best_peer_in_fp32']:.2f} of the best peer in fp32"
    )
    return found


def whole_steps(shape, dropout, device, time_spent):
    """A row of tokens a second in float32: clipping and the optimizers included.

    Ours with the default recipe, and with AdamW as the peers have it; the shares of the optimizers.
    """
    C, H, L, T, V, B = shape
    tokens, works = torch.randint(V, (B, T + 1), device=device), {}
    for name, (model, logits) in models(C, H, L, T, V, dropout).items():
        model.to(device).train()
        recipe = make_optimizers(model, 1e-4) if name == "ours" else None
        works[name] = step_of(model, logits, tokens, device, "no", recipe, clip=True)
    model, logits = models(C, H, L, T, V, dropout)["ours"]
    recipe = make_optimizers(model.to(device), 1e-4, muon=False)
    works["ours, AdamW"] = step_of(model, logits, tokens, device, "no", recipe, clip=True)
    times = rounds(works, *time_spent)
    shares = {n: statistics.median(works[n].spent) / statistics.median(t) for n, t in times.items()}
    print(f"{shape} whole step: the optimizers' share of ours {shares['ours']:.0%}", flush=True)
    more = {"dropout": dropout, "optimizers_share": shares}
    return row(shape, "whole step", "no", times, B * T, **more)


@torch.inference_mode()
def generation(shape, device, time_spent):
    """A row of tokens a second, one sequence, each model with its key-value cache."""
    C, H, L, T, V, _ = shape
    prompt, new, works = torch.randint(1, V, (1, 4), device=device), T - 5, {}
    for name, (model, _) in models(C, H, L, T, V).items():
        model.to(device).eval()
        if name == "ours":

            def work(model=model):
                return list(stream(model, prompt.tolist(), max_new_tokens=new, temperature=0))
        elif name.startswith("transformers"):

            def work(model=model):
                return model.generate(
                    prompt,
                    max_new_tokens=new,
                    do_sample=False,
                    use_cache=True,
                    pad_token_id=0,
                    attention_mask=torch.ones_like(prompt),
                )[0, 4:]
        elif name == "x-transformers":
            wrapped = AutoregressiveWrapper(model)

            def work(wrapped=wrapped):
                return wrapped.generate(prompt, new, temperature=0.0, cache_kv=True)[0]
        else:
            continue  # it has no cache
        assert len(work()) == new, name
        works[name] = work
    return row(shape, "generation", "no", rounds(works, *time_spent), new)


def faster(times):
    """Ours with the default recipe: compiled, if that is faster."""
    return min((n for n in OURS[:2] if n in times), key=lambda n: statistics.median(times[n]))


def row(shape, what, precision, times, tokens, **more):
    """One comparison, printed and as it is stored; tokens: of one work."""
    rates = {name: tokens / statistics.median(spent) for name, spent in times.items()}
    best = max((name for name in rates if name not in OURS), key=rates.get)
    ours = faster(times)
    turns = [theirs / mine for theirs, mine in zip(times[best], times[ours], strict=True)]
    low, _, high = statistics.quantiles(turns, n=4)
    print(
        f"{shape} {what} {precision}: ours {rates[ours]:,.0f} tokens/s, best peer {best} "
        f"{rates[best]:,.0f}, ratio {rates[ours] / rates[best]:.2f}, {low:.2f} to {high:.2f} in "
        f"half of {len(turns)} rounds",
        flush=True,
    )
    return {
        "shape": shape,
        "what": what,
        "precision": precision,
        "tokens_per_second": rates,
        "best_peer": best,
        "ratio": rates[ours] / rates[best],
        "ratio_quartiles": [low, high],
        "rounds": len(turns),
        **more,
    }


def hold_to_avx2():
    """Begin again with other kernels, unless they are in use: they are chosen when torch is imported."""
    sys.path.append(str(Path(__file__).parents[1]))
    from tools.matrix import AVX2

    if not AVX2.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | AVX2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=15, help="for each comparison")
    parser.add_argument("--rounds", type=int, default=15, help="for each comparison, at least")
    parser.add_argument(
        "--shapes", type=int, nargs="+", help="numbers of the shapes, from 0; default: all"
    )
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure torch.compile too",
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: the processor's time, for a machine that does other things as well",
    )
    parser.add_argument(
        "--avx2",
        action="store_true",
        help="with the kernels of a processor without AVX-512, bfloat16 and AMX",
    )
    parser.add_argument("--only", choices=("training", "whole step", "generation"), nargs="+")
    arguments = parser.parse_args()
    if arguments.avx2:
        hold_to_avx2()
        arguments.compile = False  # the compiler looks at the processor itself
    if arguments.clock == "cpu":
        globals()["CLOCK"] = time.process_time
    device = "cuda" if torch.cuda.is_available() else "cpu"
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    if device == "cpu":
        keep_memory()  # as training does; it serves all the models alike
    shapes, results = SHAPES + (GPU_SHAPES if device == "cuda" else []), []
    precisions = list(dict.fromkeys(["no", choose_precision(device)]))
    for shape in shapes if arguments.shapes is None else [shapes[i] for i in arguments.shapes]:
        wanted = arguments.only or ("training", "whole step", "generation")
        time_spent, both = [(n * arguments.seconds, arguments.rounds) for n in (1, len(precisions))]
        for dropout in DROPOUTS if "training" in wanted else ():
            torch.compiler.reset()  # at the third time the peers would run into dynamo's limit
            results += training(shape, dropout, device, precisions, both, arguments.compile)
        for dropout in DROPOUTS if "whole step" in wanted else ():
            results.append(whole_steps(shape, dropout, device, time_spent))
        if "generation" in wanted:
            results.append(generation(shape, device, time_spent))
    kind = "_gpu" if device == "cuda" else "_avx2" if arguments.avx2 else ""
    store(f"speed{kind}", results)


if __name__ == "__main__":
    main()

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformer_lib.batches import Sentences


def choose_precision(device: str) -> str:
    """ "bf16" where the hardware multiplies it fast, else "no" (float32)."""
    if device == "cuda":
        return (
            "bf16"
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else "no"
        )
    if device == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        can = torch.cpu.get_capabilities()
        return (
            "bf16" if can.get("avx512_bf16") or can.get("amx_bf16") else "no"
        )
    return "no"


def make_accelerator(
    device: str | None = None,
    precision: str | None = None,
    accumulate: int = 1,
) -> Accelerator:
    """Where and how to train, as a Hugging Face Accelerator.

    device: "cuda", "cpu" or "mps"; None takes CUDA if there is one, else the CPU (mps
    only on request). precision: "bf16" or "no"; None takes what is fastest there.
    accumulate: the number of equal parts in which each batch is run.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
    }
    device = device or ("cuda" if available["cuda"] else "cpu")
    if not available.get(device):
        here = [name for name, there in available.items() if there]
        raise ValueError(
            f"device must be one of {here} on this machine, got {device!r}"
        )
    precision = precision or choose_precision(device)
    if precision not in ("bf16", "no"):
        raise ValueError(
            f"precision must be 'bf16' or 'no', got {precision!r}"
        )
    if accumulate < 1:
        raise ValueError(f"accumulate must be at least 1, got {accumulate}")
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision=precision,
        gradient_accumulation_steps=accumulate,
    )


def make_optimizers(
    model: nn.Module,
    learning_rate: float,
    *,
    muon: bool = True,
    weight_decay: float = 0.1,
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for everything else.

    learning_rate: the largest, for both: Muon's steps are scaled to the size of AdamW's.
    muon=False, or a PyTorch without Muon: AdamW for all. Biases, norms and tables do not decay.
    """
    if learning_rate <= 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate}")
    matrices, others, plain = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or "embedding" in name:
            plain.append(parameter)
        elif muon and hasattr(torch.optim, "Muon") and "blocks." in name:
            matrices.append(parameter)
        else:
            others.append(parameter)
    groups = [
        {"params": others, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizers = [
        torch.optim.AdamW(
            [g for g in groups if g["params"]],
            lr=learning_rate,
            betas=(0.9, 0.95),
            fused=True,
        )
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                lr=learning_rate,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers


def schedule(step: int, steps: int, warmup: int, floor: float = 0.0) -> float:
    """The share of the learning rate at a step: a straight rise over warmup steps,
    then half a cosine down to floor at the last one."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2


def language_loss(model: nn.Module, batch: tuple) -> Float[Tensor, ""]:
    """The mean cross-entropy of a decoder on a batch of Windows."""
    tokens, targets = batch
    return model(tokens, targets, return_attention=False)[1]


def classification_loss(model: nn.Module, batch: tuple) -> Float[Tensor, ""]:
    """The mean negative log-likelihood of a classifier on a batch of Sentences."""
    tokens, padding_mask, labels = batch
    return F.nll_loss(
        model(tokens, padding_mask, return_attention=False)[0].float(), labels
    )


@dataclass
class History:
    """What a run went through.

    losses: the mean loss of each step. evaluations: (step, value) pairs.
    seconds: time spent training, evaluations included.
    """

    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0


def share_of(batch: tuple, number: int, parts: int) -> tuple:
    """Every parts-th row of a batch, from row `number` on."""
    if len(batch[0]) % parts:
        raise ValueError(
            f"batches must have a size that {parts} (processes times accumulate) "
            f"divides, got {len(batch[0])}"
        )
    return tuple(tensor[number::parts] for tensor in batch)


def check_finite(losses: list[float], step: int, rate: float) -> None:
    """Raise a FloatingPointError if one of the losses up to step is not finite."""
    for number, loss in enumerate(losses, step + 1 - len(losses)):
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} at step {number} (batch {number}, learning "
                f"rate {rate:.2g}); try a lower learning_rate or a longer warmup"
            )


def train(
    model: nn.Module,
    batches: Callable[[int], tuple],
    loss_of: Callable[[nn.Module, tuple], Tensor],
    *,
    steps: int,
    learning_rate: float = 3e-3,
    warmup: int | None = None,
    weight_decay: float = 0.1,
    clip: float = 1.0,
    muon: bool = True,
    evaluate: Callable[[nn.Module], float] | None = None,
    evaluate_every: int = 100,
    accelerator: Accelerator | None = None,
    checkpoints=None,
    seed: int = 0,
) -> History:
    """Train a model in place and return what the run went through.

    batches: Windows or Sentences; batches(step) is the batch of a step, always the
    same. loss_of(model, batch): its mean loss. steps: updates. learning_rate: the
    largest, reached after warmup steps (None: a twentieth of all). clip: the largest
    norm of a gradient. evaluate(model): called every evaluate_every steps and at the
    end. checkpoints: see transformer_lib.saving. seed: of dropout.
    Raises FloatingPointError when the loss is no longer finite.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    accelerator = accelerator or make_accelerator()
    warmup = max(1, steps // 20) if warmup is None else warmup
    parts = accelerator.num_processes * accelerator.gradient_accumulation_steps
    first = accelerator.process_index * accelerator.gradient_accumulation_steps
    set_seed(seed)
    model.to(accelerator.device).train()
    batches.to(accelerator.device)
    optimizers = make_optimizers(
        model, learning_rate, muon=muon, weight_decay=weight_decay
    )
    wrapped, *optimizers = accelerator.prepare(model, *optimizers)
    history, pending, started = History(), [], time.perf_counter()
    run = dict(seed=seed, steps=steps, learning_rate=learning_rate, warmup=warmup,
               weight_decay=weight_decay, clip=clip, muon=muon)
    start = checkpoints.restore(model, optimizers, history, run) if checkpoints else 0
    look_every = 1 if accelerator.device.type == "cpu" else 20  # reading a loss waits
    others = {} if accelerator.is_main_process else {"disable": True}
    bar = tqdm(range(start, steps), "training", leave=False, **others)
    try:
        for step in bar:
            rate = learning_rate * schedule(step, steps, warmup)
            for group in (g for o in optimizers for g in o.param_groups):
                group["lr"] = rate
            batch, loss = batches(step), 0.0
            for part in range(first, first + accelerator.gradient_accumulation_steps):
                with accelerator.accumulate(wrapped):
                    partial = loss_of(wrapped, share_of(batch, part, parts))
                    accelerator.backward(partial)
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(wrapped.parameters(), clip)
                    for optimizer in optimizers:
                        optimizer.step()
                        optimizer.zero_grad()
                loss = loss + partial.detach() / accelerator.gradient_accumulation_steps
            pending.append(loss)
            last = step + 1 == steps
            saving = checkpoints is not None and checkpoints.due(step + 1, last)
            if last or saving or (step + 1) % look_every == 0:
                losses = accelerator.reduce(torch.stack(pending), "mean").tolist()
                check_finite(losses, step, rate)
                history.losses += losses
                pending = []
                bar.set_postfix(loss=f"{losses[-1]:.3f}")
            if evaluate and (last or (step + 1) % evaluate_every == 0):
                model.eval()
                history.evaluations.append((step + 1, evaluate(model)))
                model.train()
            if saving:
                history.seconds += time.perf_counter() - started
                started = time.perf_counter()
                checkpoints.save(accelerator, model, optimizers, history, step + 1, run)
    finally:
        accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
        model.eval()
    history.seconds += time.perf_counter() - started
    return history


@torch.inference_mode()
def cross_entropy(
    model: nn.Module,
    tokens: Int[Tensor, "n"],
    *,
    stride: int | None = None,
    batch_size: int = 16,
) -> float:
    """The mean cross-entropy, in nats, of a decoder on tokens[1:], each counted once.

    A token is predicted from at least block_size - stride tokens before it (all there
    are, at the start). stride: None means half of block_size. batch_size changes the
    speed, not the result. exp of the result is the perplexity per token.
    """
    if tokens.ndim != 1 or len(tokens) < 2:
        raise ValueError(f"tokens must be a row of at least 2 ids, got {tuple(tokens.shape)}")
    N = len(tokens) - 1
    T = min(model.sizes["block_size"], N)
    stride = stride or max(1, T // 2)
    if not 1 <= stride <= model.sizes["block_size"]:
        raise ValueError(f"stride must be from 1 to block_size = "
                         f"{model.sizes['block_size']}, got {stride}")
    device = next(model.parameters()).device
    ends = torch.tensor([*range(T, N, stride), N], device=device)
    done = torch.cat([ends.new_zeros(1), ends[:-1]])  # counted before this window
    tokens, was_training, total = tokens.to(device), model.training, 0.0
    model.eval()
    for end, seen in zip(ends.split(batch_size), done.split(batch_size), strict=True):
        index = end[:, None] - T + torch.arange(T, device=device)  # (B, T)
        logits = model(tokens[index], return_attention=False)[0]  # (B, T, V)
        nats = F.cross_entropy(logits.flatten(0, 1).float(), tokens[index + 1].flatten(),
                               reduction="none").view_as(index)
        total += nats[index >= seen[:, None]].double().sum()
    model.train(was_training)
    return float(total / N)


@torch.inference_mode()
def predict(model: nn.Module, sentences: Sentences) -> Int[Tensor, "n"]:
    """The most probable class of every sentence, in order, on the CPU."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    found = [model(*(t.to(device) for t in batch[:2]), return_attention=False)[0].argmax(-1)
             for batch in sentences.once()]
    model.train(was_training)
    return torch.cat(found).cpu()


def accuracy(model: nn.Module, sentences: Sentences) -> float:
    """The share of sentences whose most probable class is their label, 0 to 1."""
    return float((predict(model, sentences) == sentences.labels.cpu()).float().mean())

"""The training loop and the measures: what would break if one of them were wrong."""

import inspect
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from transformer_lib import devices, optimizers, training
from transformer_lib.batches import Sentences, Windows
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.devices import Objective, make_accelerator, microbatch
from transformer_lib.encoder import Encoder
from transformer_lib.evaluation import accuracy, cross_entropy, predict
from transformer_lib.optimizers import make_optimizers
from transformer_lib.text import Passage
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import (
    check_finite,
    classification_loss,
    language_loss,
    schedule,
    train,
)

V, T = 12, 8


def decoder(seed=0, dropout=0.0, block_size=T):
    torch.manual_seed(seed)
    return Decoder(V, block_size, embedding_dim=16, num_heads=2, num_layers=2, dropout=dropout)


def classifier(seed=0):
    torch.manual_seed(seed)
    encoder = Encoder(V, T, embedding_dim=16, num_heads=2, num_layers=1)
    return EncoderClassifier(encoder, Classifier(16, 16, 3))


def row(length=400, seed=1):
    return torch.randint(V, (length,), generator=torch.Generator().manual_seed(seed))


def windows(batch_size=8):
    return Windows(row(), T, batch_size)


def run(model=None, batches=None, loss_fn=language_loss, precision="no", accumulate=1, **more):
    model = model or decoder()
    more = {"steps": 6, "accelerator": make_accelerator("cpu", precision, accumulate)} | more
    return model, train(model, batches or windows(), loss_fn, **more)


# ---------------------------------------------------------------- the recipe


def test_the_default_recipe_is_the_one_that_was_measured():
    """benchmarks/results/learning.json: another default is another recipe, and measured anew."""
    asked = inspect.signature(train).parameters
    names = ("learning_rate", "warmup", "weight_decay", "max_grad_norm", "muon", "average")
    assert [asked[name].default for name in names] == [5e-3, None, 0.1, 1.0, 1.0, 0.0]
    torch.manual_seed(0)
    model = Decoder(5, 4, embedding_dim=4, num_heads=1, num_layers=1)
    adamw, muon = (optimizer.param_groups for optimizer in make_optimizers(model, 1e-3))
    assert [group["betas"] for group in adamw] == [(0.9, 0.95)] * 2
    assert [(group["momentum"], group["ns_steps"]) for group in muon] == [(0.9, 4)]


# ---------------------------------------------------------------- the schedule


def test_rate_rises_to_the_whole_and_falls_to_the_floor():
    shares = [schedule(step, 50, 10, floor=0.1) for step in range(51)]
    assert shares[0] == 0.1 and shares[9] == shares[10] == 1.0
    assert all(a < b for a, b in zip(shares[:9], shares[1:10]))
    assert all(a > b for a, b in zip(shares[10:], shares[11:]))
    assert shares[30] == pytest.approx(0.55) and shares[50] == pytest.approx(0.1)


def test_schedule_without_warmup_and_with_nothing_else():
    assert schedule(0, 10, 0) == 1
    assert schedule(4, 5, 5) == 1
    assert schedule(0, 1, 1) == 1


def rates_of(kind, monkeypatch, **settings):
    """The rates that an optimizer of a kind has at each step of a run."""
    rates, step_of = [], kind.step

    def step(self, *arguments, **more):
        rates.append({group["lr"] for group in self.param_groups})
        return step_of(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "step", step)
        run(learning_rate=0.01, **settings)
    return rates


def test_the_rates_that_the_optimizers_get_are_the_scheduled_ones(monkeypatch):
    rates = rates_of(optimizers.AdamW, monkeypatch, steps=5, warmup=2)
    assert rates == [{0.01 * schedule(i, 5, 2)} for i in range(5)]


@pytest.mark.parametrize("muon", [0, 0.25, 1, True])
def test_the_matrices_of_the_blocks_get_their_share_of_the_rate(monkeypatch, muon):
    rates = rates_of(optimizers.Muon, monkeypatch, steps=3, warmup=2, muon=muon)
    expected = [{0.01 * schedule(i, 3, 2) * muon} for i in range(3)]
    assert rates == (expected if muon else [])  # none: AdamW has them all


def test_the_warm_up_is_a_twentieth_unless_told(monkeypatch):
    asked = []
    monkeypatch.setattr(training, "schedule", lambda *a: asked.append(a) or schedule(*a))
    run(steps=40)
    assert {warmup for _, _, warmup in asked} == {2}


# ---------------------------------------------------------------- where and how


@pytest.fixture
def asked(monkeypatch):
    """What make_accelerator asks Accelerate for, which is not made."""
    asked = {}
    monkeypatch.setattr(devices, "Accelerator", lambda **more: asked.update(more))
    return asked


def ask(*arguments):
    inspect.unwrap(make_accelerator)(*arguments)  # nothing is returned, so without shape checks


def test_mps_is_taken_only_when_asked_for(monkeypatch, asked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    ask()
    assert asked["cpu"] is True
    ask("mps")
    assert asked["cpu"] is False and asked["mixed_precision"] == "no"


def test_cuda_is_taken_when_it_is_there_and_not_when_the_launcher_forbids(monkeypatch, asked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    ask()
    assert asked["cpu"] is False and asked["mixed_precision"] == "bf16"
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    ask()
    assert asked["cpu"] is True


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"device": "tpu"}, "device must be one of"),
        ({"device": "cpu", "precision": "fp8"}, "precision must be"),
        ({"device": "cpu", "accumulate": 0}, "accumulate must be at least 1, got 0"),
    ],
)
def test_accelerator_refuses_by_name(arguments, named):
    with pytest.raises(ValueError, match=named):
        make_accelerator(**arguments)


def test_memory_is_kept_only_by_whoever_asks_for_it(monkeypatch):
    own = devices.ctypes.CDLL

    def library(name, *given, **named):  # None is the C library; PyTorch may look for others
        return own(name, *given, **named) if name else pytest.fail("it was asked")

    monkeypatch.setattr(devices.ctypes, "CDLL", library)
    make_accelerator("cpu")
    run(steps=1)


def test_a_second_accelerator_may_have_another_precision():
    assert make_accelerator("cpu", "bf16").mixed_precision == "bf16"
    assert make_accelerator("cpu", "no").mixed_precision == "no"


# ---------------------------------------------------------------- the loop


@pytest.mark.slow
def test_a_batch_is_memorised():
    for model, batch, loss_fn in (
        (decoder(), windows()(0), language_loss),
        (
            classifier(),
            (torch.randint(V, (8, T)), torch.ones(8, T, dtype=torch.bool), torch.arange(8) % 3),
            classification_loss,
        ),
    ):
        _, history = run(
            model, lambda step, batch=batch: batch, loss_fn, steps=150, learning_rate=2e-2
        )
        assert history.losses[0] > 0.8 * math.log(3)
        assert history.losses[-1] < 0.2 * history.losses[0]


def test_the_loop_is_forward_backward_clip_step():
    model, batches, expected = decoder(), windows(), []
    optimizers = make_optimizers(model, 1e-2, weight_decay=0.2)
    for step in range(6):
        for group in (g for o in optimizers for g in o.param_groups):
            group["lr"] = 1e-2 * schedule(step, 6, 2)
        model.zero_grad()
        loss = language_loss(model, batches(step))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for optimizer in optimizers:
            optimizer.step()
        expected.append(loss.item())
    other, history = run(learning_rate=1e-2, weight_decay=0.2, max_grad_norm=0.5, warmup=2)
    assert history.losses == expected
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_gradient_of_before_is_not_in_the_first_step():
    model = decoder()
    (100 * language_loss(model, windows()(500))).backward()  # looked at, or left by Ctrl-C
    assert run(model)[1].losses == run()[1].losses


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_same_seed_same_bits_other_seed_not(precision):
    def bits(seed):
        model, history = run(decoder(dropout=0.1), precision=precision, seed=seed)
        return history.losses, torch.cat([p.detach().flatten() for p in model.parameters()])

    (a, x), (b, y), (c, z) = bits(3), bits(3), bits(4)
    assert a == b and torch.equal(x, y)
    assert a != c and not torch.equal(x, z)


def test_a_batch_in_parts_is_the_whole_batch():
    _, whole = run()
    _, parts = run(accumulate=4)
    assert_close(torch.tensor(parts.losses), torch.tensor(whole.losses), rtol=1e-4, atol=0)


def test_a_model_that_is_frozen_is_refused():
    model = decoder().requires_grad_(False)
    with pytest.raises(ValueError, match="computed from weights that are not frozen, got tensor"):
        run(model)


def test_the_seed_is_of_dropout_and_the_model_ends_in_evaluation_mode():
    """As the docstring says: first weights and batches are not the seed's."""
    (model, one), (_, other) = run(seed=0), run(seed=1)
    assert one.losses == other.losses and not model.training
    (_, one), (_, other) = (run(decoder(dropout=0.5), seed=seed) for seed in (0, 1))
    assert one.losses != other.losses


def test_parts_that_do_not_divide_a_batch_are_refused():
    with pytest.raises(ValueError, match="batches must have a size that 3"):
        run(accumulate=3)


def test_parts_take_every_row_once():
    batch = (torch.arange(12), torch.arange(12) * 2)
    parts = [microbatch(batch, i, 4) for i in range(4)]
    assert sorted(torch.cat([p[0] for p in parts]).tolist()) == list(range(12))
    assert all(torch.equal(p[1], 2 * p[0]) for p in parts)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_the_model_stays_itself(precision):
    model, other = decoder(), decoder()
    before = set(vars(model))
    run(model, precision=precision)
    assert set(vars(model)) == before and not model.training
    assert all(p.dtype == torch.float32 for p in model.parameters())
    other.load_state_dict(model.state_dict())
    tokens = row(T)[None]
    assert torch.equal(model(tokens)[0], other.eval()(tokens)[0])


def test_a_second_run_of_a_model_has_the_precision_too():
    seen = []

    def loss_fn(model, batch):
        seen.append((model.projection(model.final_norm(torch.zeros(1, 1, 16)))).dtype)
        return language_loss(model, batch)

    model = decoder()
    for _ in range(2):
        run(model, loss_fn=loss_fn, precision="bf16", steps=1)
    assert seen == [torch.bfloat16] * 2


def test_the_last_evaluation_is_what_one_gets_afterwards():
    test = row(100, seed=9)
    model, history = run(
        steps=5, precision="bf16", evaluate=lambda m: cross_entropy(m, test), evaluate_every=2
    )
    assert [step for step, _ in history.evaluations] == [2, 4, 5]
    assert history.evaluations[-1][1] == cross_entropy(model, test)
    assert len(history.losses) == 5 and history.seconds > 0


def test_evaluation_is_without_dropout_and_training_goes_on_with_it():
    modes = []

    def loss_fn(model, batch):
        modes.append(model.training)
        return language_loss(model, batch)

    run(
        loss_fn=loss_fn, steps=4, evaluate=lambda m: modes.append(m.training) or 0.0, evaluate_every=2
    )  # fmt: skip
    assert modes == [True, True, False, True, True, False]


def test_the_weights_that_are_judged_and_kept_are_averaged_and_the_run_is_the_same():
    """Against a run that looks at its weights after each step, and averages them by hand."""
    steps, every, seen, judged = 8, 4, [], []

    def weights(model):
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    plain, one = run(
        steps=steps, evaluate=lambda m: seen.append(weights(m)) or 0.0, evaluate_every=1
    )
    model, other = run(
        steps=steps, evaluate=lambda m: judged.append(weights(m)) or 0.0, evaluate_every=every, average=0.5
    )  # fmt: skip
    assert other.losses == one.losses and torch.equal(seen[-1], weights(plain))
    expected = seen[0]
    for done, now in enumerate(seen[1:], 2):
        expected = expected.lerp(now, max(1 / done, 1 / (0.5 * steps)))
        if done == every:
            assert_close(judged[0], expected)
    assert_close(judged[1], expected)
    assert torch.equal(judged[1], weights(model)) and not torch.equal(seen[-1], weights(model))


def test_an_evaluation_that_fails_and_a_run_that_breaks_off_leave_averaged_weights():
    def weights(model):
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    whole, _ = run(steps=3, warmup=0, average=1.0)
    for wrong in ({"evaluate": lambda m: None}, {"evaluate": lambda m: 1 / 0}):
        model = decoder()
        with pytest.raises((ValueError, ZeroDivisionError)):
            run(model, steps=3, warmup=0, average=1.0, evaluate_every=9, **wrong)
        assert torch.equal(weights(model), weights(whole))


@pytest.mark.filterwarnings("error")
def test_an_evaluation_may_be_a_loss_with_its_gradient():
    assert training.as_number(torch.tensor(0.5, requires_grad=True)) == 0.5


def test_an_evaluation_that_is_no_number_is_named():
    with pytest.raises(ValueError, match="evaluate must return a number, got None"):
        run(steps=1, evaluate=inspect.unwrap(lambda m: None))


def test_gradients_are_clipped(monkeypatch):
    norms, step_of = [], optimizers.AdamW.step

    def step(self, *arguments, **more):
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm())
        return step_of(self, *arguments, **more)

    monkeypatch.setattr(optimizers.AdamW, "step", step)
    model = decoder()
    run(model, steps=3, max_grad_norm=0.01)
    assert_close(torch.stack(norms), torch.full((3,), 0.01), rtol=1e-3, atol=0)


def test_a_loss_that_is_not_finite_stops_the_run():
    calls = []

    def loss_fn(model, batch):
        calls.append(1)
        return language_loss(model, batch) * (float("nan") if len(calls) == 4 else 1.0)

    model = decoder()
    with pytest.raises(
        FloatingPointError,
        match=r"its gradient became nan at step 3 \(batch 3, learning rate 0.003\)",
    ):
        run(model, loss_fn=loss_fn, learning_rate=3e-3, steps=10, warmup=4)
    assert len(calls) == 4 and not model.training


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_is_saved():
    class Never:
        def restore(self, *_):
            return 0

        def due(self, *_):
            return True

        def save(self, *_):
            raise AssertionError("spoilt weights were saved")

    def loss_fn(model, batch):
        loss = language_loss(model, batch)
        return loss + 0 * (loss - loss.detach()).abs().sqrt()  # a finite loss, a NaN gradient

    with pytest.raises(FloatingPointError, match="step 0"):
        run(loss_fn=loss_fn, checkpoints=Never())


def test_of_several_losses_the_right_step_is_named():
    with pytest.raises(FloatingPointError, match=r"inf at step 18 .*rate 0.18"):
        check_finite([1.0, float("inf"), 1.0], 19, lambda step: step / 100)
    check_finite([1.0, 2.0], 19, lambda step: 0.0)


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"steps": 2.0}, "steps must be a whole number, at least 1, got 2.0"),
        ({"steps": "6"}, "steps must be a whole number, at least 1, got '6'"),
        ({"steps": True}, "steps must be a whole number, at least 1, got True"),
        ({"seed": -1}, "seed must be a whole number, 0 to 4294967295, got -1"),
        ({"learning_rate": "3e-3"}, "learning_rate must be above 0, got 3e-3"),
        ({"learning_rate": torch.ones(2)}, "learning_rate must be above 0"),
        ({"learning_rate": True}, "learning_rate must be above 0, got True"),
        ({"evaluate_every": 1.5}, "evaluate_every must be a whole number"),
        ({"steps": 0}, "steps must be a whole number, at least 1, got 0"),
        ({"warmup": -1}, r"warmup must be a whole number, 0 to 6, got -1 \(steps is 6\)"),
        ({"warmup": 7}, r"warmup must be a whole number, 0 to 6, got 7 \(steps is 6\)"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be above 0"),
        ({"evaluate_every": 0}, "evaluate_every must be a whole number, at least 1, got 0"),
        ({"muon": -0.1}, "muon must be at least 0, got -0.1"),
        ({"muon": "yes"}, "muon must be at least 0, got 'yes'"),
        ({"average": 1.1}, "average must be from 0 to 1, got 1.1"),
        ({"average": True}, "average must be from 0 to 1, got True"),
        ({"average": "0.2"}, "average must be from 0 to 1, got '0.2'"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings, named):
    settings = {"steps": 6, "accelerator": make_accelerator("cpu", "no")} | settings
    with pytest.raises(ValueError, match=named):  # unwrapped: without the tests' own type checks
        inspect.unwrap(train)(decoder(), windows(), language_loss, **settings)


class Kept:
    """Checkpoints that are only noted."""

    def __init__(self, start=0, evaluations=(), every=100):
        self.start, self.evaluations, self.every, self.saved = start, evaluations, every, []

    def restore(self, model, optimizers, history, run):
        history.evaluations[:] = self.evaluations
        history.losses[:] = [1.0] * self.start
        self.run = run
        return self.start

    def due(self, step, last):
        return last or step % self.every == 0

    def save(self, accelerator, model, optimizers, history, step, run):
        self.saved.append((step, len(history.losses), len(history.evaluations)))


def test_numbers_of_other_libraries_are_taken_and_kept_as_plain_ones():
    kept = Kept()
    _, history = run(
        steps=np.int64(4), warmup=torch.tensor(2), learning_rate=np.float32(0.01), seed=np.uint8(3),
        weight_decay=torch.tensor(0.1), max_grad_norm=np.float64(1), evaluate_every=np.int16(2),
        evaluate=lambda m: torch.tensor(1.5), checkpoints=kept,
    )  # fmt: skip
    assert json.loads(json.dumps(kept.run)) == kept.run
    assert history.evaluations == [(2, 1.5), (4, 1.5)]
    assert {type(value) for _, value in history.evaluations} == {float}
    plain = run(steps=4, warmup=2, learning_rate=float(np.float32(0.01)), seed=3)[1]
    assert history.losses == plain.losses


def test_a_run_can_be_ended_after_an_evaluation_and_is_saved_there():
    seen, kept = [], Kept(every=5)

    def stop(history):
        seen.append((len(history.losses), len(history.evaluations)))
        return len(history.evaluations) == 2

    model, history = run(
        steps=10, evaluate=lambda m: 0.0, evaluate_every=3, stop=stop, checkpoints=kept
    )
    assert seen == [(3, 1), (6, 2)] and len(history.losses) == 6
    assert kept.saved == [(5, 5, 1), (6, 6, 2)] and not model.training


def test_a_run_that_had_ended_early_does_no_further_step():
    asked = []
    _, history = run(
        steps=10, evaluate=lambda m: 0.0, stop=lambda h: asked.append(1) or True,
        checkpoints=Kept(6, [(3, 1.0), (6, 2.0)]),
    )  # fmt: skip
    assert asked == [1] and len(history.losses) == 6


def test_a_run_goes_on_where_its_checkpoint_was():
    kept, steps = Kept(4), []
    run(batches=lambda step: steps.append(step) or windows()(step), steps=6, checkpoints=kept)
    assert steps == [4, 5] and kept.saved == [(6, 6, 0)]


def test_the_bar_says_loss_and_validation(capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    run(steps=3, evaluate=lambda m: 4.5, evaluate_every=1)
    shown = capsys.readouterr().err
    assert "training" in shown and "loss=" in shown and "validation=4.500" in shown


def test_no_bar_where_bars_are_switched_off(capsys, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    run(steps=2)
    assert capsys.readouterr() == ("", "")


def sentences(count=7):
    letters = "a b c d e f"
    texts = [letters[2 * (i % 6) :][: 2 * (i % 4) + 1] for i in range(count)]
    made = [Passage(text, str(i), "xyz"[i % 3]) for i, text in enumerate(texts)]
    return Sentences(made, train_tokenizer(["a b c d e f"], "word", 10), list("xyz"), T, 3)


def test_classification_loss_is_the_mean_over_sentences_and_blind_to_padding():
    model, (tokens, mask, labels) = classifier(), next(sentences().once())
    nn.init.normal_(model.classifier.output.weight, std=3.0)
    alone = [-model(t[None, m])[0][0, k] for t, m, k in zip(tokens, mask, labels)]
    assert not mask.all()
    assert_close(classification_loss(model, (tokens, mask, labels)), torch.stack(alone).mean())


@pytest.mark.parametrize("mode", [True, False])
def test_predict_takes_the_most_probable_class_without_dropout_and_gives_the_mode_back(mode):
    torch.manual_seed(2)
    encoder = Encoder(V, T, embedding_dim=16, num_heads=2, num_layers=1, dropout=0.5)
    model = EncoderClassifier(encoder, Classifier(16, 16, 3))
    for p in (p for p in model.parameters() if p.ndim == 2):
        nn.init.normal_(p, std=0.5)
    batches = sentences(20)
    best = torch.cat([model.eval()(t, m)[0].argmax(1) for t, m, _ in batches.once()]).tolist()
    model.train(mode)
    assert predict(model, batches).tolist() == best and len(set(best)) > 1
    assert model.training is mode
    right = sum(a == b for a, b in zip(best, batches.labels.tolist()))
    assert accuracy(model, batches) == pytest.approx(right / 20)
    assert model.training is mode


def test_objective_gives_the_loss_of_its_model():
    model, batch = decoder(), windows()(0)
    assert Objective(model, language_loss)(batch) == language_loss(model, batch)


# ---------------------------------------------------------------- many processes

SCRIPT = """
import json, signal, torch
from transformer_lib.batches import Windows
from transformer_lib.checkpoints import Checkpoints
from transformer_lib.decoder import Decoder
from transformer_lib.devices import make_accelerator
from transformer_lib.training import language_loss, train
torch.manual_seed(0)
model = Decoder(12, 8, embedding_dim=16, num_heads=2, num_layers=2)
row = torch.randint(12, (400,), generator=torch.Generator().manual_seed(1))
accelerator = make_accelerator("cpu", "no", accumulate=2)
same = {"accelerator": accelerator, "evaluate": lambda model: 0.1, "evaluate_every": 6}
windows = Windows(row, 8, 8)
history = train(model, windows, language_loss, steps=6, **same)

def asked(step):
    if step == 3 and not accelerator.is_main_process:
        signal.raise_signal(signal.SIGTERM)
    return windows(step)

same["accelerator"] = make_accelerator("cpu", "no", accumulate=2)
with Checkpoints("asked") as kept:
    try:
        train(model, asked, language_loss, steps=40, checkpoints=kept, **same)
        code = None
    except SystemExit as end:
        code = end.code
same["accelerator"] = make_accelerator("cpu", "no", accumulate=2)
same |= {"checkpoints": Checkpoints("stopped"), "stop": lambda history: True}
train(model, windows, language_loss, steps=40, **same)

if accelerator.is_main_process:
    files = [path.name for each in ("asked", "stopped") for path in Checkpoints(each).files()]
    found = [accelerator.num_processes, history.losses, history.evaluations]
    print(json.dumps([*found, code, files]))
"""


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_and_end_together(tmp_path):
    """Asked by a signal to one of them, or by `stop`, both end after the same step."""
    (tmp_path / "two.py").write_text(SCRIPT)
    # the launcher's --cpu starts a single process; --multi_gpu starts as many as it is told,
    # and make_accelerator("cpu") keeps them on the CPU
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
        str(tmp_path / "two.py"),
    ]
    environment = os.environ | {
        "ACCELERATE_USE_CPU": "true",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(Path(training.__file__).parents[1]),
    }
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    processes, losses, *rest = json.loads(done.stdout.strip().splitlines()[-1])
    assert processes == 2
    files = [f"step-{step:09d}.safetensors" for step in (10, 6)]
    assert rest == [[[6, 0.1]], 128 + signal.SIGTERM, files]
    _, alone = run()
    assert_close(torch.tensor(losses), torch.tensor(alone.losses), rtol=1e-4, atol=0)


# ---------------------------------------------------------------- exact perplexity


@torch.no_grad()
def naive(model, tokens, stride):
    """Each token by itself, from the window in which it is scored."""
    T, N, nats, scored = min(model.sizes["block_size"], len(tokens) - 1), len(tokens) - 1, 0.0, 0
    end = T
    while scored < N:
        for i in range(scored + 1, end + 1):  # tokens[i] is scored in the window that ends here
            logits = model(tokens[None, end - T : i])[0][0, -1]
            nats += F.cross_entropy(logits, tokens[i]).item()
        scored, end = end, min(end + stride, N)
    return nats / N


@pytest.mark.parametrize("length", [2, 5, 9, 10, 33])
@pytest.mark.parametrize("stride", [1, 3, 8])
def test_cross_entropy_is_that_of_a_loop_at_any_batch_size(length, stride):
    model, tokens = decoder(seed=2), row(length, seed=length)
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    expected = naive(model.eval(), tokens, stride)
    for batch_size in (1, 3, 100):
        got = cross_entropy(model, tokens, stride=stride, batch_size=batch_size)
        assert got == pytest.approx(expected, abs=1e-5)


def test_cross_entropy_strides_by_half_a_block_unless_told():
    model, tokens = decoder(seed=2), row(40)
    nn.init.normal_(model.projection.weight)
    assert cross_entropy(model, tokens) == cross_entropy(model, tokens, stride=T // 2)
    assert cross_entropy(model, tokens) != cross_entropy(model, tokens, stride=T)


def test_cross_entropy_of_a_uniform_model_is_ln_v():
    model = decoder()
    nn.init.zeros_(model.projection.weight)
    assert cross_entropy(model, row()) == pytest.approx(math.log(V), abs=1e-6)


def test_cross_entropy_leaves_the_mode_and_ignores_dropout():
    model = decoder(dropout=0.5).train()
    assert cross_entropy(model, row(50)) == cross_entropy(model, row(50))
    assert model.training


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"tokens": torch.tensor([1])}, "tokens must be .*at least 2"),
        ({"stride": 0}, "stride must be .*1 to .*8, got 0"),
        ({"stride": 9}, "stride must be .*1 to .*8, got 9"),
        ({"batch_size": 0}, "batch_size must be .*at least 1.*got 0|batch_size must be .*got 0"),
    ],
)
def test_cross_entropy_refuses_by_name(arguments, named):
    with pytest.raises(ValueError, match=named):
        cross_entropy(decoder(), **({"tokens": row(20)} | arguments))


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(devices.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: pytest.fail("it was asked"))
    assert devices.keep_memory() is False


def test_an_older_c_library_that_refuses_one_setting_is_left_as_it_was(monkeypatch):
    """With the other alone every large tensor would go back to the system."""
    asked = []

    def mallopt(setting, value):
        asked.append(setting)
        return int(value <= 32 * 2**20)

    monkeypatch.setattr(devices.platform, "libc_ver", lambda: ("glibc", "2.31"))
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    assert devices.keep_memory() is False and asked == [-3]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"stop": lambda history: True}, "stop needs evaluate"),
        ({"learning_rate": 10**400}, "learning_rate must be above 0"),
        ({"evaluate": lambda model: "0.5"}, "evaluate must return a number, got '0.5'"),
        ({"evaluate": lambda model: 10**400}, "evaluate must return a number"),
    ],
)
def test_what_would_be_ignored_or_misunderstood_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        run(**wrong)


def test_the_loss_of_a_model_in_double_precision_has_it_too():
    model = classifier().double()
    assert classification_loss(model, sentences()(0)).dtype == torch.float64

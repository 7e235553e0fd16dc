"""Runs that are killed, stopped and taken up: the same weights, refused when something differs."""

import itertools
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from transformer_lib import Decoder, checkpoints
from transformer_lib.batches import Windows
from transformer_lib.checkpoints import Best, Checkpoints, check_room
from transformer_lib.devices import make_accelerator
from transformer_lib.report import PATIENCE
from transformer_lib.runs import fit
from transformer_lib.saving import read_checkpoint, write_atomic, write_checkpoint
from transformer_lib.training import History, language_loss, train

SIZES = dict(embedding_dim=16, num_heads=2, num_layers=2)


def run(folder, steps=30, every=4, keep=2, settings=None, **options):
    """A short run with dropout and checkpoints."""
    torch.manual_seed(1)
    model = Decoder(50, 16, **SIZES, dropout=0.1)
    tokens = torch.randint(0, 50, (2000,), generator=torch.Generator().manual_seed(0))
    with Checkpoints(folder, every=every, keep=keep, settings=settings) as checkpoints:
        history = train(
            model,
            Windows(tokens, 16, 8),
            language_loss,
            steps=steps,
            checkpoints=checkpoints,
            accelerator=make_accelerator("cpu", "no"),
            **options,
        )
    return model, history


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(tmp_path_factory.mktemp("undisturbed"))


def assert_same(one, other):
    assert one[1].losses == other[1].losses
    for name, tensor in one[0].state_dict().items():
        assert torch.equal(tensor, other[0].state_dict()[name]), name


SCRIPT = """
import sys; from tests.test_checkpoints import run; print('go', flush=True)
run(sys.argv[1], steps=int(sys.argv[2]), every=int(sys.argv[3]), average=0.3)
"""


def start(folder, steps, every):
    """A run in a process of its own; it says "go" when it begins."""
    root = os.path.dirname(os.path.dirname(__file__))
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(steps), str(every)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TQDM_DISABLE": "1"},
    )


def names(folder):
    """The files of a folder, half-written ones included."""
    return set(os.listdir(folder)) if folder.exists() else set()


@pytest.mark.slow
def test_killed_at_random_ends_with_the_same_weights(tmp_path):
    """SIGKILL at random moments; `KILLS=20` in the environment makes it twenty.

    Each run is killed after it has begun to write a checkpoint of its own, so that
    every kill costs a run that was under way, some of them in the middle of a file.
    """
    chance, kills = random.Random(0), int(os.environ.get("KILLS", "2"))
    steps, alive, half = 60 * kills, 0, 0
    whole = run(tmp_path / "whole", steps=steps, every=2, average=0.3)
    for _ in range(kills):
        before = names(tmp_path / "killed")
        process = start(tmp_path / "killed", steps, 2)
        process.stdout.readline()
        while process.poll() is None:
            if {n for n in names(tmp_path / "killed") - before if n.startswith("step-")}:
                break
            time.sleep(0.001)
        time.sleep(chance.choice((0, 0.02)) * chance.random())
        alive += process.poll() is None
        process.kill()
        process.wait()
        half += any(name.endswith(".part") for name in names(tmp_path / "killed"))
    found = Checkpoints(tmp_path / "killed").files()
    print(f"{alive} of {kills} kills hit a run under way, {half} a file half written")
    assert alive > kills / 2 and 1 <= len(found) <= 3
    assert_same(run(tmp_path / "killed", steps=steps, every=2, average=0.3), whole)


@pytest.mark.slow
def test_sigterm_saves_and_ends(tmp_path):
    """It ends after the step it is in, long before a checkpoint is due."""
    process = start(tmp_path / "run", 100000, 100000)
    while not (tmp_path / "run").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(2)  # the handler is in place just after the folder
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert len(Checkpoints(tmp_path / "run").files()) == 1


def test_ctrl_c_saves_then_stops(tmp_path, undisturbed):
    def interrupt(model):
        os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    with pytest.raises(KeyboardInterrupt, match="saved after step 1[01]"):
        run(tmp_path, evaluate=interrupt, evaluate_every=10)
    resumed = run(tmp_path)
    assert_same(resumed, undisturbed)


def test_damaged_checkpoint_is_refused_and_the_one_before_used(tmp_path, undisturbed):
    run(tmp_path)
    newest = Checkpoints(tmp_path).files()[0]
    content = newest.read_bytes()
    for spoiled in (
        content[:300],
        content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
        b"",
        b"hello",
    ):
        newest.write_bytes(spoiled)
        with pytest.warns(UserWarning, match="passed over"):
            again = run(tmp_path)
        assert_same(again, undisturbed)


def test_run_with_other_settings_is_refused(tmp_path):
    run(tmp_path, steps=8)
    with pytest.raises(ValueError, match="learning_rate was .* is 0.5"):
        run(tmp_path, steps=8, learning_rate=0.5)
    assert len(Checkpoints(tmp_path).files()) == 2


def test_run_with_other_settings_of_its_own_is_refused(tmp_path, undisturbed):
    """The loop knows neither the dropout nor the text; who names them has them compared."""
    run(tmp_path, settings={"dropout": 0.1, "text": 7})
    assert_same(run(tmp_path, settings={"dropout": 0.1, "text": 7}), undisturbed)
    with pytest.raises(ValueError, match="settings: text was 7, is 8$"):
        run(tmp_path, settings={"dropout": 0.1, "text": 8})
    with pytest.raises(ValueError, match="settings: batch_size was not set, is 8"):
        run(tmp_path, settings={"batch_size": 8})


@pytest.mark.parametrize("keep", [1, 2])
def test_a_refused_file_of_a_later_step_pushes_out_no_good_one(tmp_path, undisturbed, keep):
    for step in (90, 91):
        (tmp_path / f"step-0000000{step}.safetensors").write_bytes(b"of another run, damaged")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no checkpoint in"):
        run(tmp_path)
    foreign = [path.rename(path.with_suffix(".away")) for path in Checkpoints(tmp_path).files()]
    run(tmp_path)
    (tmp_path / "step-000000030.safetensors").unlink()  # the end is done again
    for path in foreign:
        path.rename(path.with_suffix(".safetensors"))
    with pytest.warns(UserWarning, match="passed over: .* cannot be read"):
        assert_same(run(tmp_path, keep=keep), undisturbed)
    names = [path.name for path in Checkpoints(tmp_path).files()]
    kept = ["step-000000030.safetensors", "step-000000028.safetensors"][:keep]
    assert names == ["step-000000091.safetensors", "step-000000090.safetensors", *kept]


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    with pytest.raises(
        FloatingPointError, match="after step [0-9]+ .batch [0-9]+, both from 0; learning_rate"
    ):
        run(tmp_path, steps=1, learning_rate=1e38)
    assert Checkpoints(tmp_path).files() == []


def test_a_file_of_another_program_is_passed_over(tmp_path, undisturbed):
    run(tmp_path)
    save_file({"a": torch.ones(2)}, tmp_path / "step-000000099.safetensors")
    with pytest.warns(UserWarning, match="99.safetensors was not written by a run"):
        assert_same(run(tmp_path), undisturbed)


def test_foreign_checkpoints_are_refused_and_kept(tmp_path):
    run(tmp_path, steps=8)
    other, tokens = (
        Decoder(50, 16, embedding_dim=8, num_heads=1, num_layers=1),
        torch.zeros(100, dtype=torch.long),
    )
    with (
        pytest.warns(UserWarning, match="of another model"),
        pytest.raises(ValueError, match="no checkpoint in"),
    ):
        train(
            other,
            Windows(tokens, 16, 2),
            language_loss,
            steps=8,
            checkpoints=Checkpoints(tmp_path),
            accelerator=make_accelerator("cpu", "no"),
        )
    assert len(Checkpoints(tmp_path).files()) == 2


class Two(nn.Module):
    """Two layers whose names, in the order of names, never change."""

    def __init__(self, first="a"):
        super().__init__()
        layers = {"a": nn.Linear(3, 400), "b": nn.Linear(400, 2)}
        for name in sorted(layers, reverse=first == "b"):
            self.add_module(name, layers[name])

    def forward(self, x):
        return self.b(self.a(x))


def taken_up(folder, model):
    return train(
        model,
        lambda step: (torch.ones(4, 3), torch.ones(4, 2)),
        lambda model, pair: (model(pair[0]) - pair[1]).square().mean(),
        steps=2,
        checkpoints=Checkpoints(folder),
        accelerator=make_accelerator("cpu", "no"),
    )


def test_a_model_with_its_layers_in_another_order_is_another_model(tmp_path):
    """The memory of an optimizer goes by the order; a fused kernel would read beyond its end."""
    taken_up(tmp_path, Two())
    with pytest.warns(UserWarning, match="of another model .its order of the weights"):
        with pytest.raises(ValueError, match="no checkpoint in"):
            taken_up(tmp_path, Two(first="b"))
    assert taken_up(tmp_path, Two()).losses


def turned(model):
    for part in model.modules():
        if hasattr(part, "causal"):
            part.causal = False


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda model: model.double(), "precision"),
        (lambda model: setattr(model.blocks[1].feed_forward.dropout, "p", 0.4), "dropout"),
        (turned, "causal"),
    ],
)
def test_what_no_shape_tells_is_compared_as_well(tmp_path, change, what):
    found = []
    for changed in (False, True):
        model = Decoder(50, 16, **SIZES, dropout=0.1)
        if changed:
            change(model)
        history, checkpoints = History(), Checkpoints(tmp_path)
        optimizers = [torch.optim.SGD(model.parameters(), 0.1)]
        if changed:
            with pytest.warns(UserWarning, match=f"of another model .its {what}"):
                with pytest.raises(ValueError, match="no checkpoint in"):
                    checkpoints.restore(model, optimizers, history, {"steps": 3})
        else:
            found.append(checkpoints.restore(model, optimizers, history, {"steps": 3}))
            accelerator = make_accelerator("cpu", "no")
            checkpoints.save(accelerator, model, optimizers, history, 1, {"steps": 3})
    assert found == [0]


def test_a_memory_of_another_shape_is_refused_before_anything_is_taken(tmp_path):
    taken_up(tmp_path, Two())
    (path,) = Checkpoints(tmp_path).files()
    tensors, metadata = read_checkpoint(path)
    (name,) = (n for n, t in tensors.items() if "exp_avg_sq" in n and t.shape == (400,))
    write_checkpoint(path, tensors | {name: torch.ones(3)}, metadata)
    model = Two()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(
        ValueError, match=r"optimizers: exp_avg_sq of parameter .* has shape \(3,\)"
    ):
        taken_up(tmp_path, model)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("name", ["seed", "steps", "learning_rate"])
def test_a_setting_of_the_runs_own_name_is_refused_where_it_differs(tmp_path, name):
    with pytest.raises(ValueError, match=f"settings: {name} is a setting of the run itself"):
        run(tmp_path, steps=4, settings={name: 77})
    assert Checkpoints(tmp_path).files() == []


def test_half_written_file_is_cleared_away_by_a_run_and_not_by_a_look(tmp_path):
    """Whoever looks into the folder of a run that is writing does not end it."""
    half = tmp_path / "step-000000004.safetensors.0123abcd.part"
    best = tmp_path / "best.safetensors.89abcdef.part"
    theirs = [tmp_path / f"best.safetensors{end}.part" for end in ("", ".mine")]
    for path in (half, best, *theirs):
        path.write_bytes(b"half")
    assert Checkpoints(tmp_path).files() == [] and half.exists()
    run(tmp_path, steps=2)
    assert {*tmp_path.glob("*.part")} == {*theirs}


def test_what_a_killed_write_leaves_has_the_name_that_is_cleared_away(tmp_path, monkeypatch):
    def killed(*_):
        os.link(next(tmp_path.glob("*.part")), tmp_path / "kept")
        raise MemoryError

    names = []
    monkeypatch.setattr(os, "replace", lambda part, _: names.append(part.name) or killed())
    with pytest.raises(MemoryError):
        write_atomic(tmp_path / "step-000000004.safetensors", b"half")
    monkeypatch.undo()
    (tmp_path / "kept").rename(tmp_path / names[0])
    run(tmp_path, steps=2)
    assert not list(tmp_path.glob("*.part"))


def test_copies_beside_the_checkpoints_are_left_alone(tmp_path):
    copies = [tmp_path / f"step-{name}.safetensors" for name in ("000000002 copy", "best")]
    for copy in copies:
        copy.write_bytes(b"theirs")
    run(tmp_path, steps=12, every=2, keep=1)
    assert [path.name for path in Checkpoints(tmp_path).files()] == ["step-000000012.safetensors"]
    assert all(copy.read_bytes() == b"theirs" for copy in copies)


def test_the_best_weights_of_no_evaluation_are_missing_by_name(tmp_path):
    best = Best(tmp_path / "new" / "best.safetensors", lambda model: math.nan)
    model = Decoder(5, 4, embedding_dim=4, num_heads=1, num_layers=1)
    assert math.isnan(best(model))
    with pytest.raises(FileNotFoundError, match="path: .*no evaluation has been a number"):
        best.load(model)
    with pytest.raises(OSError, match="folder: .*fdinfo cannot be written to"):
        Best("/proc/self/fdinfo/best.safetensors", lambda model: 1.0)


def test_entered_twice_it_still_gives_ctrl_c_back(tmp_path):
    before, kept = signal.getsignal(signal.SIGINT), Checkpoints(tmp_path)
    with kept:
        with kept:
            pass
    assert signal.getsignal(signal.SIGINT) == before


def test_a_run_that_is_done_can_be_read_from_a_full_disk(tmp_path, monkeypatch):
    done = run(tmp_path, steps=4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert_same(run(tmp_path, steps=4), done)


def test_what_others_keep_in_the_folder_stays(tmp_path):
    for name in ("film.mp4.part", "writable", "best.safetensors.part"):
        (tmp_path / name).write_bytes(b"theirs")
    Checkpoints(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    assert all(path.read_bytes() == b"theirs" for path in tmp_path.iterdir())


def test_an_object_that_was_stopped_may_be_used_again(tmp_path):
    model, windows = Decoder(50, 16, **SIZES), Windows(torch.arange(200) % 50, 16, 4)
    kept = Checkpoints(tmp_path, every=100)

    def asked(step):
        if step == 2:
            signal.raise_signal(signal.SIGINT)
        return windows(step)

    ends = []
    for batches in (asked, windows):
        with kept:
            try:
                history = train(model, batches, language_loss, steps=9, checkpoints=kept)
                ends.append(len(history.losses))
            except KeyboardInterrupt as end:
                ends.append(str(end))
    assert ends == ["saved after step 4", 9]


@pytest.fixture
def heard():
    """Ctrl-C is heard, also where the tests run in the background, where it is not by custom."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_request_that_comes_in_the_last_step_is_not_lost(tmp_path, heard):
    windows = Windows(torch.arange(200) % 50, 16, 4)

    def late(step):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return windows(step)

    kept = Checkpoints(tmp_path, every=100)
    with pytest.raises(KeyboardInterrupt) as end, kept:
        train(Decoder(50, 16, **SIZES), late, language_loss, steps=4, checkpoints=kept)
    assert "saved" not in str(end.value)  # the run was whole, what follows it was not begun
    assert [file.stem for file in kept.files()] == ["step-000000004"]


def test_a_second_ctrl_c_ends_at_once(tmp_path, monkeypatch, heard):
    clock = iter([0.0, 0.5, 1.5])
    monkeypatch.setattr(
        "transformer_lib.checkpoints.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    seen = []
    with pytest.raises(KeyboardInterrupt, match="nothing was saved"), Checkpoints(tmp_path) as kept:
        for _ in range(3):  # the second is the first, handed on twice by a launcher
            signal.raise_signal(signal.SIGINT)
            seen.append(kept.stopped)
    assert seen == [signal.SIGINT] * 2
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_another_run_may_have_dropped_an_old_checkpoint(tmp_path, monkeypatch):
    def gone(files, new, keep):
        if len(files) > keep:
            min(files).unlink()
            seen.append(new)
        real(files, new, keep)

    seen, real = [], checkpoints._drop_old
    monkeypatch.setattr(checkpoints, "_drop_old", gone)
    assert len(run(tmp_path, steps=12)[1].losses) == 12 and len(seen) == 1


def test_a_folder_for_the_best_weights_is_refused_before_the_run(tmp_path):
    with pytest.raises(ValueError, match="path must be a file, .* is a folder"):
        Best(tmp_path, len)


def test_a_setting_that_is_not_named_any_more_is_another_setting(tmp_path):
    run(tmp_path, settings={"batch_size": 8})
    with pytest.raises(ValueError, match="batch_size was 8, is not set"):
        run(tmp_path)


def test_full_disk_loses_no_earlier_checkpoint(tmp_path, monkeypatch):
    run(tmp_path, steps=8)
    before = {path.name: path.read_bytes() for path in Checkpoints(tmp_path).files()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformer_lib.saving.os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_atomic(tmp_path / "step-000000008.safetensors", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.safetensors")} == before


def test_no_room_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "transformer_lib.checkpoints.shutil.disk_usage", lambda _: type("U", (), {"free": 10})()
    )
    with pytest.raises(OSError, match="10 bytes free"):
        run(tmp_path)


def test_room_is_asked_for_what_is_still_to_be_written(tmp_path, monkeypatch):
    """Two checkpoints are there, so a third is all that a resumed run adds."""
    model = Decoder(50, 16, **SIZES, dropout=0.1)
    size = 4 * sum(4 * p.numel() for p in model.parameters())
    run(tmp_path, steps=8)
    for free, enough in ((size - 1, False), (size, True)):
        monkeypatch.setattr(
            "transformer_lib.checkpoints.shutil.disk_usage",
            lambda _, free=free: type("U", (), {"free": free})(),
        )
        if enough:
            check_room(tmp_path, model, 2)
        else:
            with pytest.raises(OSError, match=f"need about {size:,}"):
                check_room(tmp_path, model, 2)


def test_unwritable_folder_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for inside in ("file", "file/inside"):
        with pytest.raises(OSError, match="folder: .* cannot be made"):
            Checkpoints(tmp_path / inside)
    with pytest.raises(ValueError, match="must be a whole number, at least 1"):
        Checkpoints(tmp_path, every=0)


def test_evaluations_and_seconds_go_on(tmp_path):
    def stop(model):
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        seen.append(1)
        return len(seen) / 10

    seen = []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, steps=12, every=100, evaluate=stop, evaluate_every=3)
    note = read_checkpoint(Checkpoints(tmp_path).files()[0])[1]
    _, history = run(tmp_path, steps=12, every=100, evaluate=stop, evaluate_every=3)
    assert history.evaluations == [(3, 0.1), (6, 0.2), (9, 0.3), (12, 0.4)]
    assert history.seconds > note["seconds"] > 0


def test_the_signals_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Checkpoints(tmp_path):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_no_checkpoint_to_keep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep must be a whole number, at least 1, got 0"):
        Checkpoints(tmp_path, keep=0)


def test_settings_are_compared_as_they_were_written(tmp_path, undisturbed):
    """A tuple comes back as a list, and NaN is not equal to itself."""
    settings = {"betas": (0.9, 0.95), "limit": float("nan"), "rate": np.float32(0.5)}
    settings |= {"size": np.int64(3), "tensor": torch.tensor(2)}
    assert_same(run(tmp_path, settings=settings), undisturbed)
    assert_same(run(tmp_path, settings=settings), undisturbed)
    with pytest.raises(ValueError, match=r"betas was \[0.9, 0.95\], is \[0.9, 0.99\]"):
        run(tmp_path, settings=settings | {"betas": (0.9, 0.99)})


@pytest.mark.parametrize("wrong", [{"a": object()}, {"a": torch.ones(2)}, {"a": {1, 2}}])
def test_settings_that_no_file_can_hold_are_refused_at_once(tmp_path, wrong):
    with pytest.raises(ValueError, match="settings must hold what JSON can"):
        Checkpoints(tmp_path / "x", settings=wrong)
    assert not (tmp_path / "x").exists()


def test_an_evaluation_may_be_a_tensor_and_a_number_of_numpys(tmp_path):
    values = iter([torch.tensor(2.0), np.float64(1.5), 1])
    _, history = run(tmp_path, steps=12, evaluate=lambda m: next(values), evaluate_every=4)
    assert [value for _, value in history.evaluations] == [2.0, 1.5, 1]
    note = read_checkpoint(Checkpoints(tmp_path).files()[0])[1]
    assert note["evaluations"] == [[4, 2.0], [8, 1.5], [12, 1.0]]


def test_tied_weights_survive_a_checkpoint(tmp_path):
    def tied(steps):
        torch.manual_seed(1)
        model = Decoder(50, 16, **SIZES)
        model.projection.weight = model.token_embedding.weight
        tokens = torch.randint(0, 50, (2000,), generator=torch.Generator().manual_seed(0))
        batches = Windows(tokens, 16, 8)

        def killed(step):
            if step == steps:
                raise MemoryError
            return batches(step)

        train(
            model, killed, language_loss, steps=8, checkpoints=Checkpoints(tmp_path, 4),
            accelerator=make_accelerator("cpu", "no"),
        )  # fmt: skip
        return model

    with pytest.raises(MemoryError):
        tied(6)
    model = tied(None)
    assert model.projection.weight is model.token_embedding.weight


class Beside(nn.Module):
    """A model in an attribute called as PyTorch's wrappers call it, weights of its own, and a mask."""

    def __init__(self, mask=-math.inf):
        super().__init__()
        self.module = nn.Embedding(50, 16)
        self.extra = nn.Linear(16, 50)
        self.register_buffer("mask", torch.full((16, 16), mask).triu(1))

    def forward(self, x):
        return self.extra(self.mask.softmax(-1) @ self.module(x))


def own_loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def test_all_of_a_model_of_ones_own_comes_back_its_infinite_mask_too(tmp_path):
    windows = Windows(torch.arange(200) % 50, 16, 4)
    models = [Beside(), Beside(0.0)]
    best = Best(tmp_path / "best", lambda model: 1.0)
    for model in models:
        kept = Checkpoints(tmp_path, every=5)
        train(model, windows, own_loss, steps=10, checkpoints=kept)
    best(models[0])
    models.append(Beside(0.0))
    best.load(models[-1])
    for model in models[1:]:
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, models[0].state_dict()[name]), name
    with pytest.raises(FloatingPointError, match="^extra.bias was no longer finite"):
        nn.init.constant_(model.extra.bias, torch.inf)
        checkpoints._write_run(
            tmp_path, torch.compile(model), [], History(), 1, {"learning_rate": 1}
        )


@pytest.mark.parametrize("forgotten", [False, True])
def test_what_python_and_numpy_draw_goes_on(tmp_path, monkeypatch, forgotten):
    """An older checkpoint lacks their states; it is taken up all the same.

    Of Python's generator the state is compared: the tests' own type checks draw from it.
    """
    windows, real = Windows(torch.arange(200) % 50, 16, 4), checkpoints.state_of
    saved = []
    monkeypatch.setattr(
        checkpoints, "state_of", lambda *given: saved.append(random.getstate()) or real(*given)
    )

    def drawn(folder, kill_at=None):
        def batches(step):
            if step == kill_at:
                raise MemoryError
            states.append(random.getstate())
            random.gauss(0, 1)  # it draws two numbers and keeps one
            numbers.append((np.random.randn(), np.random.rand()))
            return windows(step)

        states, numbers, model = [], [], Decoder(50, 16, **SIZES)
        kept = Checkpoints(tmp_path / folder, every=3)
        try:
            train(model, batches, language_loss, steps=8, checkpoints=kept)
        except MemoryError:
            return kept.files()[0]
        return states[0], numbers

    path = drawn("killed", 5)
    if forgotten:
        tensors, metadata = read_checkpoint(path)
        for name in ("random.python", "random.numpy"):
            del tensors[name]
        write_checkpoint(path, tensors, metadata)
    state, numbers = drawn("killed")
    assert (state == saved[0]) is not forgotten
    assert (numbers == drawn("whole")[1][3:]) is not forgotten


def test_a_run_that_was_given_up_ends_there_and_stays_as_it_is(tmp_path):
    """Also one whose last checkpoint is of a step later, as runs once ended."""
    windows = Windows(torch.arange(200) % 50, 16, 4)

    def fitted(folder):
        rising = itertools.count(1.0)
        model = Decoder(50, 16, **SIZES, dropout=0.1)
        settings = {"steps": 60, "learning_rate": 0.01, "seed": 0}
        cpu = make_accelerator("cpu", "no")
        history, kept = fit(
            model, windows, language_loss, lambda m: next(rising), folder, cpu, settings
        )
        assert kept == 3 and not model.training
        return model, history

    first = fitted(tmp_path)
    assert len(first[1].losses) == 3 * (1 + PATIENCE) == first[1].evaluations[-1][0]
    assert_same(fitted(tmp_path), first)
    newest = Checkpoints(tmp_path).files()[0]
    tensors, metadata = read_checkpoint(newest)
    tensors["losses"] = torch.cat([tensors["losses"], torch.ones(1).double()])
    metadata["step"] += 1
    write_checkpoint(tmp_path / "step-000000034.safetensors", tensors, metadata)
    model, history = fitted(tmp_path)
    assert_same((model, first[1]), first)
    assert len(history.losses) == 34


def best_of(path, found):
    """The object and a model whose bias is the number of the evaluation that was best."""
    values = iter(found)
    best = Best(path, lambda model: next(values))
    model = Decoder(50, 16, **SIZES)
    seen = []
    for step in range(len(found)):
        torch.nn.init.constant_(model.projection.bias, step)
        seen.append(best(model))
    best.load(model)
    return best, int(model.projection.bias[0]), seen


def test_best_keeps_the_lowest_and_knows_it_again(tmp_path):
    best, kept, seen = best_of(tmp_path / "best", [3.0, 1.0, 2.0, 1.0, 4.0])
    assert kept == 3 and seen == [3.0, 1.0, 2.0, 1.0, 4.0]  # of equals the later
    again = Best(tmp_path / "best", len)
    assert again.lowest == best.lowest == 1.0


def test_best_refuses_the_file_of_another_model_before_it_evaluates(tmp_path):
    old, asked = Decoder(50, 16, **SIZES), []
    new = Decoder(50, 16, **SIZES | {"embedding_dim": 32})
    Best(tmp_path / "best", lambda model: 1.0)(old)
    for best in (
        Best(tmp_path / "best", asked.append),
        Best(tmp_path / "fresh", lambda model: 1.0),
    ):
        if best.lowest == math.inf:
            best(old)
        with pytest.raises(ValueError, match="model: .* is of another model"):
            best(new)
    assert not asked


def test_best_refuses_what_is_no_number(tmp_path):
    with pytest.raises(ValueError, match="evaluate must return a number"):
        Best(tmp_path / "other", lambda model: (1.0, 2.0))(Decoder(50, 16, **SIZES))


def test_what_a_context_gives_is_of_the_type_that_train_takes():
    """Not a Stoppable, which has no checkpoints: `with Checkpoints(folder) as kept`."""
    hints = checkpoints.Stoppable.__enter__.__annotations__
    assert hints["self"] is hints["return"]

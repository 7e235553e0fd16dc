"""Saved models and checkpoints: equal when loaded, refused when damaged, exact after a kill."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from transformer_lib import Classifier, Decoder, Encoder, EncoderClassifier
from transformer_lib.batches import Windows
from transformer_lib.saving import Checkpoints, load_model, read_checkpoint, save_model, write_whole
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import language_loss, make_accelerator, train

SIZES = dict(embedding_dim=16, num_heads=2, num_layers=2)
TOKENIZER = train_tokenizer(["the cat sat on the mat"], "word", 32)


def a_decoder():
    return Decoder(TOKENIZER.get_vocab_size(), 8, **SIZES).eval()


def a_classifier():
    encoder = Encoder(TOKENIZER.get_vocab_size(), 8, **SIZES)
    return EncoderClassifier(encoder, Classifier(16, 12, 2)).eval()


@pytest.mark.parametrize("make, labels", [(a_decoder, None), (a_classifier, ["a", "b"])])
def test_loaded_model_equals_the_saved_one(tmp_path, make, labels):
    model, tokens = make(), torch.tensor([[4, 5, 6]])
    save_model(tmp_path / "m", model, TOKENIZER, labels)
    loaded = load_model(tmp_path / "m")
    assert torch.equal(loaded.model(tokens)[0], model(tokens)[0]) and not loaded.model.training
    assert loaded.labels == labels and loaded.tokenizer.to_str() == TOKENIZER.to_str()


def test_saving_refuses():
    with pytest.raises(
        ValueError, match="model must be a Decoder or an EncoderClassifier, got Linear"
    ):
        save_model("x", torch.nn.Linear(1, 1), TOKENIZER)
    with pytest.raises(ValueError, match="labels must name the 2 classes"):
        save_model("x", a_classifier(), TOKENIZER, ["one"])


def damage(folder, name, how):
    path = folder / name
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "other sizes":
        config = json.loads(path.read_text())
        config["sizes"]["embedding_dim"] = 32
        path.write_text(json.dumps(config))
    elif how == "other model":
        path.write_text(json.dumps({"model": "os.system", "sizes": {}}))
    elif how == "pickle":
        path.write_bytes(pickle.dumps({"a": 1}))
    elif how == "missing tensor":
        tensors = load_file(path)
        tensors.pop("projection.bias")
        save_file(tensors, path)


@pytest.mark.parametrize(
    "name, how, error, message",
    [
        ("config.json", "gone", FileNotFoundError, "holds no config.json"),
        ("model.safetensors", "gone", FileNotFoundError, "holds no model.safetensors"),
        ("tokenizer.json", "gone", FileNotFoundError, "holds no tokenizer.json"),
        ("config.json", "cut", ValueError, "no model that can be read"),
        ("model.safetensors", "cut", ValueError, "no model that can be read"),
        ("model.safetensors", "pickle", ValueError, "no model that can be read"),
        ("tokenizer.json", "cut", ValueError, "no model that can be read"),
        ("config.json", "other sizes", ValueError, "size mismatch"),
        ("config.json", "other model", ValueError, "unknown model"),
        ("model.safetensors", "missing tensor", ValueError, "projection.bias"),
    ],
)
def test_loading_refuses(tmp_path, name, how, error, message):
    save_model(tmp_path / "m", a_decoder(), TOKENIZER)
    damage(tmp_path / "m", name, how)
    with pytest.raises(error, match=message) as caught:
        load_model(tmp_path / "m")
    assert "folder" in str(caught.value)


def run(folder, steps=30, every=4, **options):
    """A short run with dropout and checkpoints."""
    torch.manual_seed(1)
    model = Decoder(50, 16, **SIZES, dropout=0.1)
    tokens = torch.randint(0, 50, (2000,), generator=torch.Generator().manual_seed(0))
    with Checkpoints(folder, every=every) as checkpoints:
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


SCRIPT = "import sys; from tests.test_saving import run; print('go', flush=True); run(sys.argv[1])"


def start(folder):
    root = os.path.dirname(os.path.dirname(__file__))
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TQDM_DISABLE": "1"},
    )


def test_killed_at_random_ends_with_the_same_weights(tmp_path, undisturbed):
    """SIGKILL at random moments; `KILLS=20` in the environment makes it twenty."""
    chance = random.Random(0)
    for _ in range(int(os.environ.get("KILLS", "2"))):
        process = start(tmp_path)
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 1.5))
        process.kill()
        process.wait()
    assert_same(run(tmp_path), undisturbed)


def test_sigterm_saves_and_ends(tmp_path, undisturbed):
    root = os.path.dirname(os.path.dirname(__file__))
    script = SCRIPT.replace("run(sys.argv[1])", "run(sys.argv[1], steps=100000, every=100000)")
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert len(Checkpoints(tmp_path).files()) == 1


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
        with pytest.warns(UserWarning, match="is refused"):
            again = run(tmp_path)
        assert_same(again, undisturbed)


def test_run_with_other_settings_is_refused(tmp_path):
    run(tmp_path, steps=8)
    with pytest.raises(ValueError, match="learning_rate was .* is 0.5"):
        run(tmp_path, steps=8, learning_rate=0.5)
    assert len(Checkpoints(tmp_path).files()) == 2


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


def test_half_written_file_is_cleared_away(tmp_path):
    (tmp_path / "step-000000004.safetensors.part").write_bytes(b"half")
    assert Checkpoints(tmp_path).files() == [] and list(tmp_path.iterdir()) == []


def test_full_disk_loses_no_earlier_checkpoint(tmp_path, monkeypatch):
    run(tmp_path, steps=8)
    before = {path.name: path.read_bytes() for path in Checkpoints(tmp_path).files()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformer_lib.saving.os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_whole(tmp_path / "step-000000008.safetensors", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.safetensors")} == before


def test_no_room_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "transformer_lib.saving.shutil.disk_usage", lambda _: type("U", (), {"free": 10})()
    )
    with pytest.raises(OSError, match="10 bytes free"):
        run(tmp_path)


def test_unwritable_folder_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        Checkpoints(tmp_path / "file")
    with pytest.raises(ValueError, match="every and keep must be at least 1"):
        Checkpoints(tmp_path, every=0)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "step-000000001.safetensors"
    path.write_bytes(pickle.dumps({"step": 1}))
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(path)

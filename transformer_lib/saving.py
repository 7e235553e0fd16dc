import json
import os
import shutil
import signal
import threading
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import Tensor, nn

from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder
from transformer_lib.tokens import load_tokenizer
from transformer_lib.training import History


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at any moment either the old or the new one is there, whole.

    Raises OSError, with the old file kept, if there is no room or no permission.
    """
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # on the disk, not only on its way there
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(f"{path} could not be written ({error.strerror}); "
                      "what was there before is kept") from error


class Loaded(NamedTuple):
    """What load_model returns; labels is None for a decoder."""

    model: nn.Module
    tokenizer: Tokenizer
    labels: list[str] | None


def save_model(folder: str | Path, model: Decoder | EncoderClassifier, tokenizer: Tokenizer,
               labels: list[str] | None = None) -> None:
    """Save a trained model as a folder: model.safetensors, config.json, tokenizer.json.

    labels: the names of a classifier's classes, in order. Raises ValueError for a model
    of another class, OSError if the folder cannot be written.
    """
    folder = Path(folder)
    if isinstance(model, Decoder):
        config = {"model": "Decoder", "sizes": model.sizes}
    elif isinstance(model, EncoderClassifier):
        K = model.classifier.sizes["num_classes"]
        if labels is None or len(labels) != K:
            raise ValueError(f"labels must name the {K} classes, got {labels}")
        config = {"model": "EncoderClassifier", "sizes": model.encoder.sizes,
                  "classifier": model.classifier.sizes, "labels": list(labels)}
    else:
        raise ValueError(f"model must be a Decoder or an EncoderClassifier, got {type(model).__name__}")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_whole(folder / "model.safetensors", save(tensors))
    write_whole(folder / "tokenizer.json", tokenizer.to_str().encode())
    write_whole(folder / "config.json", json.dumps(config, indent=2).encode())


def load_model(folder: str | Path) -> Loaded:
    """Load what save_model wrote; nothing in the files is executed.

    Returns (model in eval mode, tokenizer, labels). Raises FileNotFoundError for a
    missing file, ValueError for one that does not hold such a model.
    """
    folder = Path(folder)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"folder: {str(folder)!r} holds no {name}; it must be a "
                                    "folder written by save_model")
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        if config["model"] == "Decoder":
            model = Decoder(**config["sizes"])
        elif config["model"] == "EncoderClassifier":
            model = EncoderClassifier(Encoder(**config["sizes"]), Classifier(**config["classifier"]))
        else:
            raise ValueError(f"model is {config['model']!r}")
        model.load_state_dict(load_file(folder / "model.safetensors"))
        tokenizer = load_tokenizer(folder / "tokenizer.json")
    except FileNotFoundError:
        raise
    except Exception as error:  # each library has its own for a file it cannot read
        raise ValueError(f"folder: {str(folder)!r} does not hold a model that can be read: "
                         f"{error}") from None
    return Loaded(model.eval(), tokenizer, config.get("labels"))


def checksum(tensors: dict[str, Tensor]) -> int:
    """A number that changes if any byte of the tensors does."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data, total)
    return total


def gather_state(model: nn.Module, optimizers: list, history: History) -> dict[str, Tensor]:
    """Everything a run needs to go on, as tensors on the CPU with one name each."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{index}.{key}": value for key, value in state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    tensors["losses"] = torch.tensor(history.losses, dtype=torch.float64)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


class Checkpoints:
    """Lets a run be stopped at any moment, killed even, and taken up where it was.

    folder: where they are kept, one file each. every: steps between two. keep: how many
    of the newest stay. Used as a context (`with Checkpoints(...) as checkpoints:
    train(..., checkpoints=checkpoints)`), Ctrl-C and SIGTERM save and then end the run.
    Raises OSError at once if the folder cannot be written.
    """

    def __init__(self, folder: str | Path, every: int = 100, keep: int = 2):
        if every < 1 or keep < 1:
            raise ValueError(f"every and keep must be at least 1, got {every} and {keep}")
        self.folder, self.every, self.keep, self.stopped = Path(folder), every, keep, None
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in self.folder.glob("*.part"):  # what a killed run left half-written
            part.unlink()
        write_whole(self.folder / "writable", b"")
        (self.folder / "writable").unlink()

    def __enter__(self) -> "Checkpoints":
        self.handlers = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self.stop)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def stop(self, number: int, frame) -> None:
        """Ask the run to save and end after the step it is in."""
        self.stopped = number

    def files(self) -> list[Path]:
        """The checkpoints in the folder, the newest first."""
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)

    def due(self, step: int, last: bool) -> bool:
        """Whether to save after this many steps."""
        return last or step % self.every == 0 or self.stopped is not None

    def save(self, accelerator: Accelerator, model: nn.Module, optimizers: list, history: History,
             step: int, run: dict) -> None:
        """Write a checkpoint; then drop the oldest, and end the run if it was asked to."""
        if accelerator.is_main_process:
            tensors = gather_state(model, optimizers, history)
            note = {"step": step, "run": run, "evaluations": history.evaluations,
                    "seconds": history.seconds, "checksum": checksum(tensors)}
            content = save(tensors, {"transformer_lib": json.dumps(note)})
            write_whole(self.folder / f"step-{step:09d}.safetensors", content)
            for old in self.files()[self.keep:]:
                old.unlink()
        accelerator.wait_for_everyone()
        if self.stopped == signal.SIGINT:
            raise KeyboardInterrupt(f"stopped after step {step}, saved in {self.folder}")
        if self.stopped is not None:
            raise SystemExit(128 + self.stopped)

    def restore(self, model: nn.Module, optimizers: list, history: History, run: dict) -> int:
        """Take up the newest checkpoint that can be read; return its step, 0 if there is none.

        One that is damaged or of another model is refused with a warning, and the one
        before it is used. Raises ValueError if none of those there can be used, or if the
        run they are from had other settings.
        """
        size = 4 * sum(p.numel() * p.element_size() for p in model.parameters()) * (self.keep + 1)
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise OSError(f"folder: {self.folder} has room for {free:,} bytes, "
                          f"the run's checkpoints need about {size:,}")
        for path in self.files():
            try:
                return self.read(path, model, optimizers, history, run)
            except (SafetensorError, KeyError, OSError, RuntimeError, json.JSONDecodeError) as error:
                warnings.warn(f"checkpoint {path.name} is refused: {error}", stacklevel=2)
        if self.files():
            raise ValueError(f"folder: no checkpoint in {self.folder} can be used; "
                             "choose another folder or empty it")
        return 0

    def read(self, path: Path, model: nn.Module, optimizers: list, history: History, run: dict) -> int:
        """Load one checkpoint into a run that has not begun, or change nothing and raise."""
        with safe_open(path, "pt") as file:
            note = json.loads((file.metadata() or {})["transformer_lib"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if checksum(tensors) != note["checksum"]:
            raise OSError("its content was changed after it was written")
        mine = {name: tensor.shape for name, tensor in model.state_dict().items()}
        its = {n.removeprefix("model."): t.shape for n, t in tensors.items() if n.startswith("model.")}
        if mine != its:
            raise KeyError("it is of another model")
        other = {name: (note["run"].get(name), value) for name, value in run.items()
                 if note["run"].get(name) != value}
        if other:
            raise ValueError(f"folder: {path.name} is of a run with other settings: " + ", ".join(
                f"{name} was {was}, is {now}" for name, (was, now) in other.items()))
        model.load_state_dict({name: tensors[f"model.{name}"] for name in mine})
        for number, optimizer in enumerate(optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                if name.startswith(f"optimizer.{number}."):
                    index, key = name.split(".")[2:]
                    state.setdefault(int(index), {})[key] = tensor
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
        history.losses[:] = tensors["losses"].tolist()
        history.evaluations[:] = [tuple(pair) for pair in note["evaluations"]]
        history.seconds = note["seconds"]
        return note["step"]

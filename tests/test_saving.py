"""Saved models: equal when loaded, refused when damaged, the old or the new after an accident."""

import json
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from transformer_lib import Classifier, Decoder, Encoder, EncoderClassifier
from transformer_lib.devices import make_accelerator
from transformer_lib.saving import (
    load_model,
    read_checkpoint,
    save_model,
    unwrap,
    write_atomic,
    write_checkpoint,
)
from transformer_lib.tokens import train_tokenizer

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
        ValueError, match="model must be a Decoder or an EncoderClassifier itself.*got Linear"
    ):
        save_model("x", torch.nn.Linear(1, 1), TOKENIZER)
    with pytest.raises(ValueError, match="labels must name the 2 classes"):
        save_model("x", a_classifier(), TOKENIZER, ["one"])
    with pytest.raises(ValueError, match="tokenizer has .* tokens, the model only 5"):
        save_model("x", Decoder(5, 8, **SIZES), TOKENIZER)
    failed = a_decoder()
    torch.nn.init.constant_(failed.projection.bias, torch.inf)
    with pytest.raises(ValueError, match="infinity or NaN, in projection.bias"):
        save_model("x", failed, TOKENIZER)
    assert not os.path.exists("x")


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
    elif how == "flipped":
        content = path.read_bytes()
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif how == "nan":  # from another program, which leaves no checksum
        tensors = load_file(path)
        tensors["projection.bias"][0] = torch.nan
        save_file(tensors, path)
    elif how == "other text":
        train_tokenizer(["so many more words than that one had"], "bpe", 300).save(str(path))


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
        ("config.json", "other model", ValueError, "model must be Decoder or EncoderClassifier"),
        ("model.safetensors", "missing tensor", ValueError, "projection.bias"),
        ("model.safetensors", "flipped", ValueError, "changed after it was written"),
        ("model.safetensors", "nan", ValueError, "infinity or NaN, in projection.bias"),
        ("tokenizer.json", "other text", ValueError, "tokens, the model only"),
    ],
)
def test_loading_refuses(tmp_path, name, how, error, message):
    save_model(tmp_path / "m", a_decoder(), TOKENIZER)
    damage(tmp_path / "m", name, how)
    with pytest.raises(error, match=message) as caught:
        load_model(tmp_path / "m")
    assert "folder" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("labels", [None, ["a"], ["a", "b", "c"], "ab"])
def test_labels_that_do_not_fit_are_refused_when_loaded(tmp_path, labels):
    save_model(tmp_path, a_classifier(), TOKENIZER, ["a", "b"])
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"labels": labels}))
    with pytest.raises(ValueError, match="labels must name the 2 classes"):
        load_model(tmp_path)


def test_a_model_of_another_program_is_loaded(tmp_path):
    model = a_decoder()
    save_model(tmp_path, model, TOKENIZER)
    save_file(dict(model.state_dict()), tmp_path / "model.safetensors")  # no note
    assert torch.equal(load_model(tmp_path).model.projection.weight, model.projection.weight)


def test_no_flipped_bit_changes_what_is_read(tmp_path):
    """In the numbers, the names, the shapes and the note: refused, or without effect."""
    path = tmp_path / "step-000000040.safetensors"
    tensors = {"losses": torch.arange(3.0), "model.a": torch.eye(2)}
    note = {"step": 40, "run": {"seed": 0, "learning_rate": 0.01}, "seconds": 1.5}
    write_checkpoint(path, tensors, note)
    good, refused = path.read_bytes(), 0
    for bit in range(8 * len(good)):
        spoiled = bytearray(good)
        spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        try:
            found, said = read_checkpoint(path)
        except ValueError:
            refused += 1
            continue
        if said:  # {} is refused: it was not written by a run
            assert said == note and found.keys() == tensors.keys()
            assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert refused > 7 * len(good)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "step-000000001.safetensors"
    path.write_bytes(pickle.dumps({"step": 1}))
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(path)


def test_a_saved_folder_holds_three_files_and_no_part_of_one(tmp_path):
    for _ in range(2):  # new, and written over
        save_model(tmp_path / "m", a_decoder(), TOKENIZER)
        names = {path.name for path in (tmp_path / "m").iterdir()}
        assert names == {"config.json", "model.safetensors", "tokenizer.json"}


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, seen = tmp_path / "a", []
    path.write_bytes(b"old")
    sync = os.fsync
    monkeypatch.setattr(
        "transformer_lib.saving.os.fsync", lambda n: seen.append(path.read_bytes()) or sync(n)
    )
    monkeypatch.setattr(  # all of it is on the disk before it takes the old one's name
        "transformer_lib.saving.os.replace",
        lambda a, b: seen.append((a.read_bytes(), b.read_bytes())) or a.rename(b),
    )
    write_atomic(path, b"new")
    assert seen == [b"old", (b"new", b"old"), b"new"]  # the last: of the folder, for the name
    assert path.read_bytes() == b"new"


def test_a_failed_write_leaves_no_part(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformer_lib.saving.os.fsync", full)
    with pytest.raises(OSError, match="what was there before is kept"):
        write_atomic(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "labels, names",
    [
        (list(np.unique([0, 1])), ["0", "1"]),
        (np.unique(["x", "y"]), ["x", "y"]),
        (torch.tensor([3, 4]), ["3", "4"]),
        ((1, "b"), ["1", "b"]),
    ],
)
def test_labels_of_numpy_torch_and_numbers_are_kept_as_text(tmp_path, labels, names):
    save_model(tmp_path / "m", a_classifier(), TOKENIZER, labels)
    assert load_model(tmp_path / "m").labels == names


@pytest.mark.parametrize(
    "labels", [[1, "1"], [None, "a"], [True, False], [0.5, 1.5], {"a": 1, "b": 2}]
)
def test_labels_that_are_no_names_are_refused(tmp_path, labels):
    with pytest.raises(ValueError, match="labels must name the 2 classes"):
        save_model(tmp_path / "m", a_classifier(), TOKENIZER, labels)
    assert not (tmp_path / "m").exists()


def test_dropout_is_kept(tmp_path):
    decoder = Decoder(30, 8, **SIZES, dropout=0.3)
    reader = EncoderClassifier(Encoder(30, 8, **SIZES, dropout=0.4), Classifier(16, 12, 2))
    for model, labels, p in ((decoder, None, 0.3), (reader, ["a", "b"], 0.4)):
        save_model(tmp_path, model, TOKENIZER, labels)
        drops = [
            m.p for m in load_model(tmp_path).model.modules() if isinstance(m, torch.nn.Dropout)
        ]
        assert drops and set(drops) == {p}


def test_a_folder_from_before_dropout_was_kept_can_be_loaded(tmp_path):
    save_model(tmp_path, a_decoder(), TOKENIZER)
    config = json.loads((tmp_path / "config.json").read_text())
    old = {k: config[k] for k in ("model", "sizes")}
    (tmp_path / "config.json").write_text(json.dumps(old))
    assert load_model(tmp_path).model.blocks[0].feed_forward.dropout.p == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_precision_is_kept(tmp_path, dtype):
    model = a_decoder().to(dtype)
    save_model(tmp_path, model, TOKENIZER)
    loaded = load_model(tmp_path).model
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    assert torch.equal(loaded.projection.weight, model.projection.weight)


def tie(model):
    model.projection.weight = model.token_embedding.weight


def share_a_block(model):
    model.blocks[1] = model.blocks[0]


def share_memory(model):
    model.projection.weight.data = model.token_embedding.weight.data


@pytest.mark.parametrize("change", [tie, share_a_block, share_memory])
def test_tied_weights_stay_tied(tmp_path, change):
    model, tokens = a_decoder(), torch.tensor([[4, 5, 6]])
    change(model)
    save_model(tmp_path, model, TOKENIZER)
    loaded = load_model(tmp_path).model
    assert torch.equal(loaded(tokens)[0], model(tokens)[0])
    alone = len(list(a_decoder().parameters()))
    assert len(list(loaded.parameters())) < alone  # one Parameter for both
    if change is not share_a_block:
        assert loaded.projection.weight is loaded.token_embedding.weight


class Gated(Decoder):
    """A model that load_model would give back as another one."""


def replaced(model):
    model.blocks[0].feed_forward = torch.nn.Identity()


def normed(model):
    torch.nn.utils.parametrizations.weight_norm(model.projection)


def old_normed(model):
    torch.nn.utils.weight_norm(model.projection)


def patched(model):
    model.final_norm.forward = lambda x: x


def wider(model):
    model.projection = torch.nn.Linear(16, 40)


def uneven(model):
    model.blocks[1].feed_forward.dropout.p = 0.5


def added(model):
    model.more = torch.nn.Parameter(torch.ones(2))


def hooked(model):
    model.blocks[0].register_forward_pre_hook(lambda block, given: (2 * given[0], *given[1:]))


def looks_ahead(model):
    model.blocks[1].attention.heads[0].causal = False


def as_if_prepared(model):
    """A forward of one's own under the name that Accelerate keeps the first one by."""
    model._original_forward = model.forward = lambda *given, **named: None


def bound_elsewhere(model):
    model.forward = a_decoder().forward


def subclass(model):
    model.__class__ = Gated


@pytest.mark.parametrize(
    "change, message",
    [
        (replaced, "blocks.0.feed_forward is Identity, not FeedForward"),
        (normed, "projection is ParametrizedLinear, not Linear"),
        (old_normed, "projection.weight"),
        (patched, "final_norm has a forward of its own"),
        (wider, "projection.weight is .40, 16., not"),
        (uneven, "blocks.1.feed_forward.dropout drops 0.5"),
        (added, "more is .2., not None"),
        (looks_ahead, "blocks.1.attention.heads.0 has causal False, not True"),
        (as_if_prepared, "model has a forward of its own"),
        (bound_elsewhere, "model has a forward of its own"),
        (subclass, "itself, since that is what load_model builds, got Gated"),
        (hooked, "blocks.0 has a hook in its forward pass"),
    ],
)
def test_what_would_come_back_as_another_model_is_refused_and_the_old_one_kept(
    tmp_path, change, message
):
    save_model(tmp_path / "m", a_decoder(), TOKENIZER)
    before = {path: path.read_bytes() for path in (tmp_path / "m").iterdir()}
    model = a_decoder()
    change(model)
    with pytest.raises(ValueError, match=message):
        save_model(tmp_path / "m", model, TOKENIZER)
    assert {path: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before


def test_a_compiled_model_is_saved_as_what_is_inside(tmp_path):
    model = a_decoder()
    compiled = torch.compile(model)  # nothing is compiled before it is called
    assert unwrap(compiled) is model
    save_model(tmp_path, compiled, TOKENIZER)
    assert torch.equal(load_model(tmp_path).model.projection.weight, model.projection.weight)


@pytest.mark.parametrize("unwrapped", [False, True])
def test_a_model_that_accelerate_prepared_for_bfloat16_is_saved(tmp_path, unwrapped):
    accelerator = make_accelerator("cpu", "bf16")
    model = accelerator.prepare(a_decoder())
    if unwrapped:
        model = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    save_model(tmp_path, model, TOKENIZER)
    assert torch.equal(load_model(tmp_path).model.projection.weight, model.projection.weight)


class Beside(torch.nn.Module):
    """A wrapper of one's own, whose attribute is called as that of PyTorch's."""

    def __init__(self):
        super().__init__()
        self.module, self.extra = a_decoder(), torch.nn.Linear(3, 3)


def test_only_what_pytorch_put_around_a_model_is_taken_off(tmp_path):
    model, own = a_decoder(), Beside()

    class Parallel(torch.nn.DataParallel):
        pass

    assert unwrap(torch.nn.DataParallel(model)) is unwrap(Parallel(torch.compile(model))) is model
    assert unwrap(torch.compile(torch.nn.DataParallel(own))) is own
    with pytest.raises(ValueError, match="model must be a Decoder .* itself, .* got Beside"):
        save_model(tmp_path / "m", own, TOKENIZER)


def test_a_decoder_has_no_labels(tmp_path):
    with pytest.raises(ValueError, match="labels must be None for a Decoder"):
        save_model(tmp_path / "m", a_decoder(), TOKENIZER, ["a"])


@pytest.mark.parametrize("function", ["fsync", "rename", "replace"])
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6])
def test_an_accident_leaves_the_old_model_or_the_new_one(tmp_path, monkeypatch, function, call):
    """Whatever call fails, the folder loads, and holds all of the one or all of the other."""
    folder, old, new = tmp_path / "m", a_classifier(), a_classifier()
    save_model(folder, old, TOKENIZER, ["a", "b"])
    (folder / "results.json").write_text("{}")
    real, left = getattr(os, function), [call]

    def failing(*given):
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device")
        return real(*given)

    monkeypatch.setattr(f"transformer_lib.saving.os.{function}", failing)
    try:
        save_model(folder, new, TOKENIZER, ["c", "d"])
    except OSError as error:
        assert "No space left on device" in str(error)
    monkeypatch.undo()
    loaded = load_model(folder)
    mine = {"a": old, "c": new}[loaded.labels[0]]
    one, other = loaded.model.state_dict(), mine.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)
    save_model(folder, new, TOKENIZER, ["c", "d"])  # and the next save goes through
    assert load_model(folder).labels == ["c", "d"]
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "results.json"
    }  # fmt: skip


def test_loading_draws_no_random_numbers(tmp_path):
    save_model(tmp_path, a_decoder(), TOKENIZER)
    before = torch.get_rng_state()
    load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_config_that_asks_for_a_huge_model_costs_no_memory(tmp_path):
    save_model(tmp_path, a_decoder(), TOKENIZER)
    config = json.loads((tmp_path / "config.json").read_text())
    config["sizes"]["vocab_size"] = 10**9
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="size mismatch"):
        load_model(tmp_path)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_eight_bits_of_any_precision_give_a_model_that_runs(tmp_path, kind):
    save_model(tmp_path / "m", a_decoder().to(kind), TOKENIZER, bits=8)
    model = load_model(tmp_path / "m").model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model(torch.tensor([[1, 2, 3]])).logits.isfinite().all()


def test_metadata_come_back_as_json_has_them_and_keep_no_checksum_of_their_own(tmp_path):
    given = {"l": {1: 0, 2: 0, 10: 0}}
    write_checkpoint(tmp_path / "a", {"x": torch.ones(2)}, given)
    assert read_checkpoint(tmp_path / "a")[1] == {"l": {"1": 0, "2": 0, "10": 0}}
    with pytest.raises(ValueError, match="metadata must not have a key 'checksum'"):
        write_checkpoint(tmp_path / "b", {"x": torch.ones(2)}, {"checksum": 3})
    assert not (tmp_path / "b").exists()


def test_a_number_of_a_module_that_would_be_lost_is_refused(tmp_path):
    model = a_decoder()
    model.final_norm.eps = 1.0
    with pytest.raises(ValueError, match=r"final_norm has .*eps=1.0.*, not .*eps=1e-05"):
        save_model(tmp_path / "m", model, TOKENIZER)


def test_labels_without_an_order_are_refused(tmp_path):
    with pytest.raises(ValueError, match="labels must name the 2 classes"):
        save_model(tmp_path / "m", a_classifier(), TOKENIZER, {"neg", "pos"})


def test_when_only_the_last_moves_fail_it_says_where_the_new_model_is(tmp_path, monkeypatch):
    save_model(tmp_path / "m", a_decoder(), TOKENIZER)
    new, replace = a_decoder(), os.replace
    torch.nn.init.ones_(new.projection.bias)

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="holds the new files, but in .new"):
        save_model(tmp_path / "m", new, TOKENIZER)
    monkeypatch.setattr(os, "replace", replace)
    assert load_model(tmp_path / "m").model.projection.bias.eq(1).all()


def test_a_link_stays_a_link_and_a_name_too_long_is_a_sentence(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    with pytest.raises(OSError, match="could not be written .* what was there before is kept"):
        write_atomic(tmp_path / ("a" * 252), b"new")


def test_a_loaded_model_no_longer_needs_its_file(tmp_path):
    model, tokens = a_decoder(), torch.tensor([[4, 5, 6]])
    save_model(tmp_path / "m", model, TOKENIZER)
    loaded = load_model(tmp_path / "m").model
    path = tmp_path / "m" / "model.safetensors"
    with open(path, "r+b") as file:  # as `cp` does; the file stays the same one
        file.write(b"\0" * path.stat().st_size)
    assert torch.equal(loaded(tokens)[0], model(tokens)[0])


def test_a_transposed_view_is_no_tied_weight(tmp_path):
    model = Decoder(16, 8, **SIZES).eval()
    model.projection.weight = torch.nn.Parameter(model.token_embedding.weight.T)
    save_model(tmp_path / "m", model, train_tokenizer(["the cat sat"], "word", 16))
    loaded, tokens = load_model(tmp_path / "m").model, torch.tensor([[3, 4, 5]])
    torch.testing.assert_close(loaded(tokens)[0], model(tokens)[0])


def test_a_config_of_many_layers_or_heads_is_refused_at_once(tmp_path):
    save_model(tmp_path / "m", a_decoder(), TOKENIZER)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    for huge in ({"num_layers": 10**8}, {"num_heads": 10**8, "embedding_dim": 10**8}):
        changed = config | {"sizes": config["sizes"] | huge}
        (tmp_path / "m" / "config.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match="num_heads is 200,000,000, the weights are of fewer"):
            load_model(tmp_path / "m")


def test_what_is_no_damage_is_not_reported_as_damage(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="nowhere"):
        read_checkpoint(tmp_path / "nowhere")
    save_model(tmp_path / "m", a_decoder(), TOKENIZER)

    def full(folder):
        raise MemoryError("cannot allocate")

    monkeypatch.setattr("transformer_lib.saving._read", full)
    with pytest.raises(MemoryError):
        load_model(tmp_path / "m")


def test_ctrl_c_leaves_no_half_file(tmp_path, monkeypatch):
    def pressed(number):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", pressed)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a.txt", b"new")
    assert not list(tmp_path.iterdir())


def test_a_model_whose_blocks_are_one_is_not_of_too_few_weights(tmp_path):
    model = Decoder(TOKENIZER.get_vocab_size(), 8, embedding_dim=16, num_heads=8, num_layers=12)
    for number in range(1, 12):
        model.blocks[number] = model.blocks[0]
    save_model(tmp_path, model, TOKENIZER)
    assert len(load_file(tmp_path / "model.safetensors")) < 12 * 8
    assert torch.equal(load_model(tmp_path).model.projection.weight, model.projection.weight)


def test_what_others_keep_beside_a_file_stays(tmp_path):
    (tmp_path / "a.part").write_bytes(b"theirs")
    write_atomic(tmp_path / "a", b"ours")
    (tmp_path / "m" / ".new.part").mkdir(parents=True)  # a killed save leaves such a folder
    save_model(tmp_path / "m", a_decoder(), TOKENIZER)
    assert (tmp_path / "a.part").read_bytes() == b"theirs"
    names = {path.name for path in tmp_path.rglob("*")}
    three = {"config.json", "model.safetensors", "tokenizer.json"}
    assert names == {"a", "a.part", "m"} | three


def test_two_writers_at_once_leave_one_whole_file_and_no_error(tmp_path, monkeypatch):
    inner, sync = [b"second"], os.fsync

    def late(number):  # another process writes the same file meanwhile
        if inner:
            write_atomic(tmp_path / "a", inner.pop())
        sync(number)

    monkeypatch.setattr(os, "fsync", late)
    write_atomic(tmp_path / "a", b"first")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"first"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe could not be written: it is a folder, a pipe or"):
        write_atomic(tmp_path / "pipe", b"new")
    assert (tmp_path / "pipe").is_fifo() and len(list(tmp_path.iterdir())) == 1


def test_a_tensor_of_any_strides_is_written(tmp_path):
    table = torch.arange(12.0).view(3, 4)
    write_checkpoint(tmp_path / "a", {"t": table.T, "c": table[:, 1]}, {})
    found, _ = read_checkpoint(tmp_path / "a")
    assert torch.equal(found["t"], table.T) and torch.equal(found["c"], table[:, 1])


def test_a_name_that_could_not_be_read_back_is_refused(tmp_path):
    with pytest.raises(ValueError, match="names of tensors must not be '__metadata__'"):
        write_checkpoint(tmp_path / "a", {"__metadata__": torch.ones(2)}, {})


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(OSError, match=f"path: {tmp_path} cannot be read"):
        read_checkpoint(tmp_path)  # a folder


def test_a_model_without_numbers_is_refused(tmp_path):
    model = a_decoder().to_empty(device="meta")
    with pytest.raises(ValueError, match="token_embedding.weight holds no numbers"):
        save_model(tmp_path / "m", model, TOKENIZER)

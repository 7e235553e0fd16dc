"""The models in the page: the scripts of `book/static/live` give what the package gives.

The same files run here under node, for the numbers, and in a headless Chromium, for the pages.
"""

import base64
import functools
import itertools
import json
import math
import os
import random
import re
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from book.ext.live import COMPUTING, DRAWING
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder
from transformer_lib.tokens import load_tokenizer, train_tokenizer

ROOT = Path(__file__).parents[1]
LIVE = ROOT / "book" / "static" / "live"


def node(script, data=None, parts=COMPUTING):
    """What a script returns under node, with the parts of the page loaded; `data` is its input."""
    from book.ext.live import node as program

    loaded = "".join(f"require({str(LIVE / part) + '.js'!r});" for part in parts)
    code = (
        f"{loaded} const data = JSON.parse(require('fs').readFileSync(0));"
        f"const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64')).buffer;"
        f"Promise.resolve((() => {{ {script} }})()).then((x) => console.log(JSON.stringify(x)));"
    )
    done = subprocess.run(
        [program(), "-e", code],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        env={**os.environ, "NODE_OPTIONS": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def as_base64(model):
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    return base64.b64encode(save(state)).decode()


def a_decoder(seed, V=29, T=12, C=16, H=4, L=2):
    torch.manual_seed(seed)
    sizes = dict(vocab_size=V, block_size=T, embedding_dim=C, num_heads=H, num_layers=L)
    model = Decoder(**sizes).eval()
    with torch.no_grad():  # norms that are not 1 and biases that are not 0, maps that are not even
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model, {"model": "Decoder", "sizes": sizes}


def a_classifier(seed, V=31, T=14, C=12, H=3, L=2, M=20, K=5):
    torch.manual_seed(seed)
    sizes = dict(vocab_size=V, block_size=T, embedding_dim=C, num_heads=H, num_layers=L)
    head = dict(embedding_dim=C, hidden_dim=M, num_classes=K)
    model = EncoderClassifier(Encoder(**sizes), Classifier(**head)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model, {"model": "EncoderClassifier", "sizes": sizes, "classifier": head}


SHAPES = [  # V, T, C, H, L
    (29, 12, 16, 4, 2), (7, 1, 4, 1, 1), (5, 3, 6, 2, 3), (64, 33, 24, 8, 1), (11, 9, 10, 5, 2),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_decoder_gives_the_logits_and_maps_of_the_package(shape):
    model, config = a_decoder(1, *shape)
    V, T = shape[:2]
    tokens = torch.randint(V, (3, T))
    logits, _, maps = model(tokens)
    ours = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        const [logits, maps] = model.forward(data.tokens, data.T);
        return {logits: [...logits.data], maps: maps.map((l) => l.map((m) => [...m.data]))};""",
        {
            "config": config,
            "weights": as_base64(model),
            "tokens": tokens.flatten().tolist(),
            "T": T,
        },
    )
    torch.testing.assert_close(
        torch.tensor(ours["logits"]).view_as(logits), logits, rtol=1e-4, atol=1e-5
    )
    for layer, expected in zip(ours["maps"], maps, strict=True):
        got = (
            torch.tensor(layer, dtype=torch.float32)
            .view(expected.shape[1], 3, T, T)
            .transpose(0, 1)
        )
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_classifier_gives_the_log_probabilities_and_maps_of_the_package(shape):
    model, config = a_classifier(2, *shape)
    V, T, _, H, _ = shape
    tokens = torch.randint(V, (1, max(1, T - 1)))
    log_probs, maps = model(tokens)
    ours = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        const [log_probs, maps] = model.forward(data.tokens);
        return {log_probs: [...log_probs], maps: maps.map((l) => l.map((m) => [...m.data]))};""",
        {"config": config, "weights": as_base64(model), "tokens": tokens[0].tolist()},
    )
    torch.testing.assert_close(torch.tensor(ours["log_probs"]), log_probs[0], rtol=1e-4, atol=1e-5)
    got = torch.tensor(ours["maps"], dtype=torch.float32).view(
        -1, H, tokens.shape[1], tokens.shape[1]
    )
    torch.testing.assert_close(got, torch.cat(maps), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(31, 9, 12, 3, 2), (5, 4, 8, 2, 1)])
def test_padding_is_left_out_as_in_the_package(shape):
    """A batch of sentences of several lengths: the maps, and the mean over real tokens only."""
    model, config = a_classifier(4, *shape)
    V, T, _, H, _ = shape
    tokens = torch.randint(V, (4, T))
    real = torch.arange(T) < torch.tensor([T, 1, T - 1, 2])[:, None]
    log_probs, maps = model(tokens, real)
    ours = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        const [log_probs, maps] = model.forward(data.tokens, data.T, data.real);
        return {log_probs: [...log_probs], maps: maps.map((l) => l.map((m) => [...m.data]))};""",
        {"config": config, "weights": as_base64(model), "tokens": tokens.flatten().tolist(),
         "T": T, "real": real.flatten().tolist()},
    )  # fmt: skip
    got = torch.tensor(ours["log_probs"], dtype=torch.float32).view_as(log_probs)
    torch.testing.assert_close(got, log_probs, rtol=1e-4, atol=1e-5)
    drawn = torch.tensor(ours["maps"], dtype=torch.float32).view(-1, H, 4, T, T).transpose(1, 2)
    read = real[None, :, None, :, None]  # what a row of padding looks at, nobody reads
    torch.testing.assert_close(drawn * read, torch.stack(maps) * read, rtol=1e-4, atol=1e-6)
    assert (drawn.masked_fill(real[None, :, None, None], 0) == 0).all()


def test_cache_gives_the_logits_of_the_whole_pass():
    model, config = a_decoder(3)
    tokens = torch.randint(29, (12,)).tolist()
    whole, cached = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        const [logits] = model.forward(data.tokens), cache = new live.KVCache(model), rows = [];
        rows.push(...model.forward(data.tokens.slice(0, 5), 5, cache)[0].data);
        for (const token of data.tokens.slice(5)) rows.push(...model.forward([token], 1, cache)[0].data);
        return [[...logits.data], rows];""",
        {"config": config, "weights": as_base64(model), "tokens": tokens},
    )
    torch.testing.assert_close(torch.tensor(cached), torch.tensor(whole), rtol=1e-5, atol=1e-6)


TEXTS = [
    "Don't panic, it's only a test: we'll see 42 things.  Two spaces\n\nand lines\t.",
    "The naïve café — 12½ km², “quoted” … naïve? ΑΒΓ абв 漢字かな 한국어 👩‍👩‍👧 ١٢٣ ā̈",
    "def f(x):\n    return x_1 + __init__ # comment\r\n",
]


def random_texts(count, seed=0):
    """Strings of every kind of character, and bytes that are not UTF-8, read as everyone reads them."""
    draw = random.Random(seed)
    pools = [
        [chr(c) for c in range(0x20, 0x7F)],
        list(" \t\n\r\x0b\x0c\x1c\x85\xa0\u1680\u2003\u2028\u3000\ufeff\u200b'’"),
        [chr(c) for c in range(0xA0, 0x600)],
        list("'s't're've'm'll'd  the and of 0123456789_"),
        [chr(c) for c in (0x301, 0x308, 0x20E3, 0x200D, 0xFE0F, 0x1F469, 0x1F3FD, 0x4E00, 0xAC00, 0x3042, 0x660)],
    ]  # fmt: skip
    for _ in range(count):
        kind, length = draw.randrange(7), draw.randrange(1, 30)
        if kind == 6:
            yield bytes(draw.choices(range(256), k=length)).decode("utf-8", "replace")
        elif kind == 5:
            codes = (draw.randrange(0x110000) for _ in range(length))
            yield "".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000)
        else:
            yield "".join(draw.choice(draw.choice(pools[: kind + 1])) for _ in range(length))


@functools.cache
def tokenizers():
    corpus = [*TEXTS, *random_texts(300, seed=1)]
    return {
        "char": train_tokenizer(corpus, "char", 200),
        "word": train_tokenizer(corpus, "word", 300),
        "bpe": train_tokenizer(corpus, "bpe", 700),
    }


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_tokenizer_gives_the_ids_of_python_on_ten_thousand_texts(kind):
    tokenizer = tokenizers()[kind]
    texts = ["", *TEXTS, *random_texts(10_000, seed=2)]
    ids = [row.ids for row in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    draw = random.Random(3)
    rows = [draw.choices(range(tokenizer.get_vocab_size()), k=9) for _ in range(2_000)]
    ours = node(
        """const tokenizer = new live.Tokenizer(JSON.parse(data.json));
        return [data.texts.map((text) => tokenizer.encode(text)), data.rows.map((row) => tokenizer.decode(row))];""",
        {"json": tokenizer.to_str(), "texts": texts, "rows": rows},
    )
    wrong = [text for text, a, b in zip(texts, ours[0], ids, strict=True) if a != b]
    assert wrong == []
    assert ours[1] == tokenizer.decode_batch(rows)


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_half_a_character_is_read_as_the_sign_that_stands_for_one(kind):
    """A browser's text may hold half of an emoji, which no text in Python can."""
    tokenizer = tokenizers()[kind]
    ours = node(
        """const tokenizer = new live.Tokenizer(JSON.parse(data));
        return ["a\\ud83d b", "\\udc69", "\\ud83d\\udc69\\ud83d"].map((text) => tokenizer.encode(text));""",
        tokenizer.to_str(),
    )
    texts = ["a\ufffd b", "\ufffd", "\U0001f469\ufffd"]
    assert ours == [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


@pytest.mark.slow
def test_classes_of_characters_are_those_of_tokenizers():
    from tools.live_weights import unicode_script

    stored = (LIVE / "unicode.js").read_text("utf-8")
    assert stored == unicode_script(), "run: python tools/live_weights.py --unicode"


@pytest.mark.parametrize("seed", [0, 1, 2**31 + 5])
def test_random_numbers_are_those_of_torch(seed):
    generator = torch.Generator().manual_seed(seed)
    expected = [torch.rand((), generator=generator).item() for _ in range(1500)]
    ours = node(
        "const g = new live.Generator(data); return Array.from({length: 1500}, () => g.uniform());",
        seed,
    )
    assert ours == expected


CHOICES = [
    {}, {"temperature": 0}, {"temperature": 0.7}, {"temperature": 2.5}, {"top_k": 1}, {"top_k": 5}, {"top_k": 1000},
    {"top_p": 0.5}, {"top_p": 1.0}, {"top_p": 0.01}, {"temperature": 0.8, "top_k": 12, "top_p": 0.9},
]  # fmt: skip


def test_probabilities_are_those_of_the_package():
    from transformer_lib.sampling import probabilities

    torch.manual_seed(5)
    rows = torch.randn(40, 30) * 3
    ours = node(
        "return data.choices.map((c) => data.rows.map((r) => [...live.probabilities(Float32Array.from(r), c)]));",
        {"choices": CHOICES, "rows": rows.tolist()},
    )
    for choice, got in zip(CHOICES, ours, strict=True):
        torch.testing.assert_close(
            torch.tensor(got, dtype=torch.float32),
            probabilities(rows, **choice),
            rtol=1e-4,
            atol=1e-6,
        )


@pytest.mark.parametrize(
    "choice", [{"temperature": 0}, {}, {"temperature": 0.8, "top_k": 12, "top_p": 0.9}]
)
@pytest.mark.parametrize("cached", [True, False])
def test_the_same_seed_draws_the_same_tokens_as_the_package(choice, cached):
    """Over the end of the block, where the last half is kept; Python draws from the same random numbers."""
    from transformer_lib.sampling import probabilities

    model, config = a_decoder(7)
    ours = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        return [...live.stream(model, [3, 4, 5], data.choice)].map((step) => step.token);""",
        {"config": config, "weights": as_base64(model),
         "choice": {"max_new_tokens": 40, "seed": 11, "cached": cached, **choice}},
    )  # fmt: skip
    generator, row, expected = torch.Generator().manual_seed(11), [3, 4, 5], []
    for _ in range(40):
        row = row[-6:] if len(row) > 12 else row
        logits = model(torch.tensor([row]), return_attention=False)[0][:, -1]
        p = probabilities(logits, **choice)[0].double()
        if choice.get("temperature") == 0:
            token = int(p.argmax())
        else:
            token = int((p.cumsum(0) > torch.rand((), generator=generator).item()).nonzero()[0])
        expected.append(token)
        row = [*row, token]
    assert ours == expected


def test_greedy_text_is_that_of_generate():
    from transformer_lib.sampling import generate

    tokenizer = tokenizers()["bpe"]
    model, config = a_decoder(8, V=tokenizer.get_vocab_size())
    expected = "".join(generate(model, tokenizer, "It’s", max_new_tokens=30, temperature=0))
    ours = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        const tokenizer = new live.Tokenizer(JSON.parse(data.json)), choice = {max_new_tokens: 30, temperature: 0};
        return [...live.generate(model, tokenizer, "It’s", choice)].map((step) => step.piece).join("");""",
        {"config": config, "weights": as_base64(model), "json": tokenizer.to_str()},
    )
    assert ours == expected


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngrams_are_those_of_the_package(order):
    from transformer_lib.ngrams import KneserNey

    torch.manual_seed(0)
    ids = (torch.randn(3000).abs() * 5).long().clamp(max=19).tolist()
    model = KneserNey(order, 20).fit(ids[:2500])
    expected = -float(model.log_probs(ids[2500:]).mean())
    ours = node(
        "return new live.KneserNey(data.order, 20).fit(data.ids.slice(0, 2500)).loss(data.ids.slice(2500));",
        {"order": order, "ids": ids},
    )
    assert ours == pytest.approx(expected, rel=1e-9)


LEARNED = [  # V, T, C, H, L, B
    (11, 5, 8, 2, 1, 3), (7, 1, 4, 1, 1, 2), (29, 12, 16, 4, 2, 2), (5, 9, 6, 3, 3, 1), (13, 7, 10, 5, 1, 4),
    (31, 16, 32, 4, 2, 2), (3, 4, 12, 2, 4, 5), (40, 3, 20, 10, 1, 1), (17, 21, 14, 7, 2, 1), (70, 32, 32, 4, 1, 8),
]  # fmt: skip


@pytest.mark.parametrize("shape", LEARNED)
def test_gradients_are_those_of_pytorch(shape):
    """Every parameter, within 1e-4 of its largest gradient."""
    *sizes, B = shape
    model, config = a_decoder(sum(shape), *sizes)
    V, T = sizes[:2]
    tokens, targets = torch.randint(V, (2, B, T))
    loss = model(tokens, targets)[1]
    loss.backward()
    ours = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        const [loss, slope] = live.crossEntropy(model.forward(data.tokens, data.T)[0], data.targets);
        model.backward(slope);
        return {loss, grads: Object.fromEntries([...model.parameters()].map(([n, p]) => [n, [...p.grad]]))};""",
        {"config": config, "weights": as_base64(model), "T": T,
         "tokens": tokens.flatten().tolist(), "targets": targets.flatten().tolist()},
    )  # fmt: skip
    assert ours["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert set(ours["grads"]) == {name for name, _ in model.named_parameters()}
    largest = max(float(p.grad.abs().max()) for p in model.parameters())
    for name, parameter in model.named_parameters():
        got = torch.tensor(ours["grads"][name], dtype=torch.float32).view_as(parameter)
        own = max(float(parameter.grad.abs().max()), 1e-3 * largest)
        assert float((got - parameter.grad).abs().max()) < 1e-4 * own, name


def test_twenty_steps_end_at_the_weights_of_pytorch():
    V, T, C, H, L, B = 70, 32, 32, 4, 1, 8
    torch.manual_seed(0)
    sizes = dict(vocab_size=V, block_size=T, embedding_dim=C, num_heads=H, num_layers=L)
    model = Decoder(**sizes)
    start = as_base64(model)
    batches = torch.randint(V, (20, 2, B, T))
    batches[:, 1] = (batches[:, 0] * 3 + 1) % V  # something that can be learned
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1 and "embedding" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim < 2 or "embedding" in n]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.95))
    rates, losses = [3e-3 * min(1, (step + 1) / 5) for step in range(20)], []
    for (tokens, targets), rate in zip(batches, rates, strict=True):
        for group in adamw.param_groups:
            group["lr"] = rate
        loss = model(tokens, targets, return_attention=False)[1]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad()
        losses.append(loss.item())
    ours = node(
        """const model = live.build(data.config, live.readSafetensors(bytes(data.weights)));
        const optimizer = new live.AdamW(model);
        const losses = data.batches.map(([x, y], n) => live.update(model, optimizer, x, y, data.T, data.rates[n]));
        return {losses, weights: Object.fromEntries([...model.parameters()].map(([n, p]) => [n, [...p.data]]))};""",
        {"config": {"model": "Decoder", "sizes": sizes}, "weights": start, "T": T, "rates": rates,
         "batches": batches.flatten(2).tolist()},
    )  # fmt: skip
    assert losses[-1] < losses[0] - 0.1
    assert ours["losses"] == pytest.approx(losses, abs=1e-4)
    for name, parameter in model.named_parameters():
        got = torch.tensor(ours["weights"][name]).view_as(parameter)
        assert float((got - parameter).abs().max().detach()) < 1e-3, name


def test_training_makes_twenty_steps_a_second(record_property):
    """One layer, 32 wide, context 32, batch 8; by the processor's time, so that other work does not count."""
    seconds = node("""
        const sizes = {vocab_size: 70, block_size: 32, embedding_dim: 32, num_heads: 4, num_layers: 1};
        const model = new live.Decoder(sizes), g = new live.Generator(0);
        live.initWeights(model, g);
        const optimizer = new live.AdamW(model), ids = Array.from({length: 256}, () => Math.floor(g.uniform() * 70));
        const run = (n) => { for (let i = 0; i < n; i++) live.update(model, optimizer, ids, ids, 32, 1e-3); };
        run(20);
        const before = process.cpuUsage();
        run(40);
        const {user, system} = process.cpuUsage(before);
        return (user + system) / 1e6 / 40;""")
    record_property("measured", f"{1 / seconds:.0f} steps of training a second")
    assert seconds < 1 / 20


# ---- Packing ----------------------------------------------------------------------------------------------------------


def a_folder(folder, kind, width=24):
    """A model folder as save_model writes it: random weights, a tokenizer of this file's texts."""
    from transformer_lib.saving import save_model

    if kind == "generator":
        tokenizer = tokenizers()["bpe"]
        model, _ = a_decoder(21, V=tokenizer.get_vocab_size(), T=24, C=width)
        save_model(folder, model, tokenizer)
    else:
        tokenizer = tokenizers()["word"]
        model, _ = a_classifier(22, V=tokenizer.get_vocab_size(), T=20, C=width, H=4, K=3)
        save_model(folder, model, tokenizer, ["first", "<b>second</b>", "third"])
    return folder


def in_the_page(target, name="model.safetensors"):
    return base64.b64encode((target / name).read_bytes()).decode()


@pytest.mark.parametrize("bits", [16, 8])
@pytest.mark.parametrize("kind", ["generator", "classifier"])
def test_packed_weights_are_read_as_they_were_packed(tmp_path, kind, bits):
    from safetensors.numpy import load_file

    from tools.live_weights import pack, unpack

    folder = a_folder(tmp_path / "folder", kind)
    said = pack(folder, tmp_path / "page", bits)
    assert (
        said["bits"] == bits
        and said["bytes"] == (tmp_path / "page/model.safetensors").stat().st_size
    )
    expected = unpack(load_file(tmp_path / "page/model.safetensors"))
    original = load_file(folder / "model.safetensors")
    ours = node(
        """const tensors = live.readSafetensors(bytes(data));
        return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, [...t]]));""",
        in_the_page(tmp_path / "page"),
    )
    assert ours.keys() == expected.keys() == original.keys()
    change = 0.0
    for name, values in expected.items():
        assert ours[name] == values.flatten().tolist()
        change = max(change, float(abs(values - original[name]).max()))
        row = abs(original[name]).max(-1, keepdims=True) if values.ndim > 1 else abs(original[name])
        most = row / 254 if bits == 8 else row * 2.0**-10
        assert (abs(values - original[name]) <= most + 1e-7).all(), name
    assert said["largest_change"] == pytest.approx(change)
    script = (tmp_path / "page/model.js").read_text("utf-8")
    whole = json.loads(script.split(" = ", 1)[1].removesuffix(";\n"))
    assert base64.b64decode(whole["weights"]) == (tmp_path / "page/model.safetensors").read_bytes()


def test_a_model_that_is_too_large_for_16_bits_takes_8_and_then_none(tmp_path, monkeypatch):
    import tools.live_weights as packing

    folder = a_folder(tmp_path / "folder", "generator")
    sizes = {bits: packing.pack(folder, tmp_path / "page", bits)["bytes"] for bits in (16, 8)}
    assert packing.pack(folder, tmp_path / "page")["bits"] == 16
    monkeypatch.setattr(packing, "LARGEST", sizes[16] - 1)
    assert packing.pack(folder, tmp_path / "page")["bits"] == 8
    monkeypatch.setattr(packing, "LARGEST", sizes[8] - 1)
    with pytest.raises(ValueError, match="8 bits each"):
        packing.pack(folder, tmp_path / "page")


def with_header(header):
    code = json.dumps(header).encode()
    return len(code).to_bytes(8, "little") + code + b"1234567"


@pytest.mark.parametrize(
    "damage", ["half", "empty", "text", "header", "null", "no place", "odd place", "scale alone"]
)
def test_damaged_weights_give_a_sentence(tmp_path, damage):
    from tools.live_weights import pack

    pack(a_folder(tmp_path / "folder", "classifier"), tmp_path / "page")
    data = (tmp_path / "page/model.safetensors").read_bytes()
    broken = {
        "half": data[: len(data) // 2],
        "empty": b"",
        "text": b"<!doctype html><p>404",
        "header": data[:40],
        "null": with_header(None),
        "no place": with_header({"a": {"dtype": "F32", "shape": [1]}}),
        "odd place": with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 5]}}),
        "scale alone": with_header({"a.scale": {"dtype": "F32", "data_offsets": [0, 4]}}),
    }
    said = node(
        "try { live.readSafetensors(bytes(data)); return null; } catch (error) { return error.message; }",
        base64.b64encode(broken[damage]).decode(),
    )
    assert said == "The file of the weights is damaged, or half of it is missing."


WEIGHTS = sorted(
    path.parent for path in (ROOT / "transformer_lib" / "weights").glob("*/model.safetensors")
)


@pytest.mark.parametrize("folder", WEIGHTS, ids=lambda path: path.name)
def test_packed_weights_are_those_of_the_chapters(tmp_path, folder):
    """Each stored model loads, fits the page, and the page's answers lie near the package's own."""
    from safetensors.numpy import load_file

    from tools.live_weights import LARGEST, pack, unpack
    from transformer_lib.saving import load_model

    said = pack(folder, tmp_path / folder.name)
    assert said["bytes"] <= LARGEST and said["bits"] == 8
    assert said["largest_change"] < 1e-6  # stored in 8 bits, so packing rounds nothing
    model, tokenizer, _ = load_model(folder)
    sizes = getattr(model, "encoder", model).sizes
    torch.manual_seed(0)
    tokens = torch.randint(4, sizes["vocab_size"], (20, min(24, sizes["block_size"])))
    original = model(tokens)[0].detach()
    packed = {
        n: torch.from_numpy(t)
        for n, t in unpack(load_file(tmp_path / folder.name / "model.safetensors")).items()
    }
    model.load_state_dict(packed)
    change = (model(tokens)[0].detach().softmax(-1) - original.softmax(-1)).abs().max()
    print(
        f"{folder.name}: {said['bits']} bits, {said['bytes']:,} bytes, probabilities change by at most {change:.5f}"
    )
    assert change < 1e-5


@pytest.mark.parametrize("folder", WEIGHTS, ids=lambda path: path.name)
def test_stored_tokenizers_give_the_ids_of_python(folder):
    """Capitals are read as small letters where the model learned them so, in the page too."""
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    texts = ["The Logger is CLOSED.", "Été, ÜBER e\u0301", "A\u0308nderung der QUEUE", *TEXTS]
    found = node(
        """const tokenizer = new live.Tokenizer(JSON.parse(data.json));
        return data.texts.map((text) => tokenizer.encode(text));""",
        {"json": tokenizer.to_str(), "texts": texts},
    )
    assert found == [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


# ---- Lessons ----------------------------------------------------------------------------------------------------------


def test_characters_have_the_ids_of_train_tokenizer():
    text = "".join(TEXTS) * 3
    tokenizer = train_tokenizer([text], "char", 256)
    ours = node("return live.characterTokenizer(data).encode(data);", text)
    assert ours == tokenizer.encode(text).ids


def test_a_lesson_learns_and_says_what_the_package_says(tmp_path):
    """The loss of kept text, and the line of the n-grams, as the package computes them."""
    from transformer_lib.evaluation import cross_entropy
    from transformer_lib.ngrams import KneserNey

    ours = node("""
        const lesson = new live.Lesson(live.counting(), {block_size: 16}), before = lesson.evaluate();
        for (let n = 0; n < 60; n++) lesson.step(3e-3);
        const state = Object.fromEntries([...lesson.model.parameters()].map(([n, p]) => [n, [p.shape, [...p.data]]]));
        return {before, after: lesson.evaluate(), baseline: lesson.baseline(), sizes: lesson.sizes, state,
                learned: lesson.learned, held: lesson.held, sample: lesson.sample(), maps: lesson.maps()};""")
    model = Decoder(**ours["sizes"]).eval()
    model.load_state_dict(
        {n: torch.tensor(d).view(shape) for n, (shape, d) in ours["state"].items()}
    )
    held = torch.tensor(ours["held"])
    assert ours["after"] == pytest.approx(cross_entropy(model, held, stride=8), abs=1e-4)
    assert ours["after"] < ours["before"] - 1
    order, V = ours["baseline"]["order"], ours["sizes"]["vocab_size"]
    losses = {
        n: -float(KneserNey(n, V).fit(ours["learned"]).log_probs(ours["held"]).mean())
        for n in range(1, 6)
    }
    assert ours["baseline"]["loss"] == pytest.approx(losses[order], rel=1e-6)
    assert losses[order] == min(losses.values())
    maps = torch.tensor(ours["maps"]["maps"]).view(4, 16, 16)
    torch.testing.assert_close(
        maps, model(held[None, 8:24])[2][0][0].detach(), rtol=1e-4, atol=1e-5
    )


def test_a_short_text_cannot_be_learned():
    said = node("try { new live.Lesson('too short'); } catch (error) { return error.message; }")
    assert "too short" in said and "at least 340 are needed" in said


def test_a_rate_that_is_too_high_is_named_in_the_page():
    rate = re.search(r"rate to ([\d.]+)", (ROOT / "book/live/learns.md").read_text("utf-8"))[1]
    held, grams, rates = node(
        """const lesson = new live.Lesson(live.counting()), held = [];
        for (let n = 0; n < 100; n++) lesson.step(data);
        return [lesson.evaluate(), lesson.baseline().loss, live.learns.RATES];""",
        float(rate), COMPUTING + DRAWING,
    )  # fmt: skip
    assert held > 4 * grams and float(rate) in rates


# ---- What the pages say -------------------------------------------------------------------------------------------------


def answered(script, kind="generator", **data):
    """What a script gives of a small model in the page, `packed`, whose block has 12 tokens."""
    if kind == "generator":
        tokenizer = tokenizers()["bpe"]
        model, config = a_decoder(31, V=tokenizer.get_vocab_size())
    else:
        tokenizer = tokenizers()["word"]
        model, config = a_classifier(32, V=tokenizer.get_vocab_size(), T=12)
        config["labels"] = list("abcde")
    start = """const config = data.config, model = live.build(config, live.readSafetensors(bytes(data.weights)));
        const packed = {config, model, tokenizer: new live.Tokenizer(JSON.parse(data.json))};"""
    more = {"config": config, "weights": as_base64(model), "json": tokenizer.to_str()}
    return node(start + script, more | data, COMPUTING + DRAWING)


def test_the_steps_of_an_answer_are_the_same_after_a_text_was_written():
    before, after = (
        answered("""const answer = live.answers.predicted(packed, "It’s only", {token: 1});
        const before = answer.html.split('<div class="live-inside">')[1];
        for (const step of live.generate(model, packed.tokenizer, "It’s only", {max_new_tokens: 9}));
        return [before, answer.inside() + "</div>"];""")
    )
    assert before == after and "NaN" not in after and "The weights sum to 1.000" in after


@pytest.mark.parametrize("length", [2, 12, 13, 40])
def test_bars_are_what_the_first_token_is_drawn_from(length):
    shown, drawn = answered(
        """const ids = packed.tokenizer.encode(data.text);
        const [{p}] = live.stream(model, ids, {max_new_tokens: 1, banned: live.BANNED});
        const {html} = live.answers.predicted(packed, data.text);
        const rows = [...html.split("</table>")[0].matchAll(/live-number">(.*?)</g)].map((row) => row[1]);
        return [rows, [...p].sort((a, b) => b - a).slice(0, 10).map(live.draw.percent)];""",
        text="漢" * length,
    )
    assert shown == drawn and len(shown) == 10


def test_of_unknown_words_only_those_that_are_read_are_counted():
    html = answered(
        "return live.answers.classified(packed, 'zxqv '.repeat(50)).html;", kind="classifier"
    )
    assert "reads 12 tokens" in html and "12 of 12 tokens are outside the vocabulary" in html


def test_a_text_that_the_model_ends_is_said_to_be_ended():
    ends = answered("""const last = model.projection.bias.data;
        return [0, 1e4].map((more) => {
            last[live.END] += more;
            const text = live.generate(model, packed.tokenizer, "It’s", {max_new_tokens: 3, temperature: 0});
            let next = text.next();
            while (!next.done) next = text.next();
            return live.answers.told(3, 1, next.value, false);
        });""")
    assert ends == [
        "3 tokens in 1.0 s, 3 a second.",
        "3 tokens in 1.0 s, 3 a second. The model ended the text here.",
    ]


def test_a_text_is_shortened_between_its_characters():
    script = "return [live.answers.first(data, 4), live.answers.last(data, 4)];"
    parts = COMPUTING + DRAWING
    assert node(script, "a😀😀😀b", parts) == ["a😀…", "…😀b"]
    assert node(script, "a😀b", parts) == ["a😀b", "a😀b"]


def test_a_token_of_which_nothing_is_seen_shows_its_code():
    tokens = ["", " a", "\u200b", "\ufeff\xad", "\u200d👩"]
    shown = node("return data.map(live.draw.visible);", tokens, COMPUTING + DRAWING)
    assert shown == ["∅", "·a", "U+200B", "U+FEFF U+00AD", "\u200d👩"]


@pytest.mark.parametrize("how", ["silent", "silent later", "{}", "null"])
def test_a_line_that_gives_something_else_or_nothing_more_is_said_to_fail(how):
    said = node(
        """globalThis.location = {protocol: "http:"};
        live.base = "http://a.page/";
        live.answers.patience = 30;
        globalThis.fetch = (url, {signal}) => new Promise((resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
            const json = async () => data === "silent later" ? {live: {bytes: 9}} : JSON.parse(data);
            const read = () => new Promise((_, never) => signal.addEventListener("abort", () => never(signal.reason)));
            if (data !== "silent") resolve({ok: true, json, body: {getReader: () => ({read})}});
        });
        return live.answers.fetchModel("a", () => {}).catch((error) => error.message);""",
        how, COMPUTING + DRAWING,
    )  # fmt: skip
    assert said.startswith("The weights did not arrive.")


def test_a_browser_that_comes_back_to_a_page_fills_in_no_field():
    """It would, without a word to the page: fields and drawings would disagree."""
    forms = answered(
        """const difference = {largest: 0, same: 1, all: 1};
        config.live = {bits: 8, bytes: 1};
        const parts = [...Object.values(live.things), live.learns, {html: () => live.answers.html("generator", packed, difference)}];
        return parts.map((part) => part.html().match(/<form[^>]*>/)[0]);"""
    )
    assert len(forms) == 7 and all('autocomplete="off"' in form for form in forms)


# A page without a browser: elements that hear events, scripts and workers that wait.
SCENE = """
    const scripts = [], workers = [], ears = {};
    const hears = (ears) => ({
        addEventListener: (kind, ear) => (ears[kind] ??= []).push(ear),
        fire: (kind, event) => Promise.all((ears[kind] || []).map((ear) => ear({preventDefault() {}, ...event}))),
    });
    const part = () => ({
        ...hears({}), parts: {}, elements: new Proxy({}, {get: (all, name) => (all[name] ??= part())}), disabled: false,
        nextElementSibling: {}, contains: () => true, focus() {}, reset() {}, append: (script) => scripts.push(script),
        querySelector(name) { return (this.parts[name] ??= part()); },
    });
    const page = hears(ears), selection = {isCollapsed: true};
    globalThis.addEventListener = page.addEventListener;
    globalThis.document = {...hears(ears), activeElement: part(), head: part(), createElement: part, getSelection: () => selection};
    globalThis.Worker = class {
        orders = [];
        constructor() { workers.push(this); }
        postMessage({order}) { this.orders.push(order); }
        terminate() {}
    };
    URL.createObjectURL = () => "blob:a";
    live.base = "http://a.page/";
    live.replace = (element, html) => (element.innerHTML = html);
    const rest = () => new Promise((resolve) => setTimeout(resolve, 5));
"""


@pytest.mark.parametrize("starts", [1, 2])
def test_a_run_that_is_paused_before_its_text_has_come_does_not_begin(starts):
    script = """return (async () => {
        const element = part(), form = element.querySelector("form"), status = element.querySelector(".live-status"), said = [];
        const [run, pause, reset] = ["run", "pause", "reset"].map((name) => form.querySelector(`.live-${name}`));
        live.learns.attach(element);
        form.elements.choice.value = "this book";
        for (let n = 0; n < data; n++) {
            if (n) await pause.fire("click");
            form.fire("submit");
            said.push(status.textContent);
        }
        if (data === 1) await pause.fire("click");
        live.texts = {book: "a text"};
        scripts.forEach((script) => script.onload());
        await rest();
        said.push(run.textContent, run.disabled, pause.disabled, workers.map((worker) => worker.orders));
        await reset.fire("click");
        workers[0]?.onmessage({data: {kind: "steps", done: 1, losses: [1]}}); // sent before it was ended
        return [...said, status.textContent];
    })();"""
    said = node(SCENE + script, starts, COMPUTING + DRAWING)
    assert said[:starts] == ["The text is loading …"] * starts
    one = ["Start", False, True, []]
    two = ["Go on", True, False, [["rate", "start", "run"]]]
    assert said[starts:-1] == (one if starts == 1 else two)
    assert said[-1].startswith("Reset")


def test_what_is_pressed_or_selected_is_not_drawn_anew_until_it_is_let_go():
    drawn = node(
        SCENE
        + """return (async () => {
        const element = part(), drawn = [];
        let count = 0;
        const redraw = live.learns.patient(element, () => count++);
        const now = () => (redraw(), drawn.push(count));
        now();
        for (const [down, up] of [["pointerdown", "pointerup"], ["keydown", "keyup"], ["pointerdown", "pointercancel"]]) {
            element.fire(down);
            now();
            page.fire(up);
            drawn.push(count);
            await rest();
            drawn.push(count);
        }
        Object.assign(selection, {isCollapsed: false, anchorNode: "a sample"});
        now();
        selection.isCollapsed = true;
        document.fire("selectionchange");
        return [...drawn, count];
    })();""",
        parts=COMPUTING + DRAWING,
    )
    assert drawn == [1, *[1, 1, 2], *[2, 2, 3], *[3, 3, 4], 4, 5]


def test_of_a_text_of_many_characters_is_said_how_much_is_not_learned():
    said = node(
        """const text = (most) => Array.from({length: 3000}, (_, n) => String.fromCodePoint(0x4e00 + (n * 7) % most)).join("");
        const one = (most) => {
            const lesson = new live.Lesson(text(most)), { sizes, parameters, learned, held, kept, unknown } = lesson;
            const ready = { sizes, parameters, learned: learned.length, held: held.length, kept, unknown, baseline: { order: 1, loss: 1 } };
            return live.learns.show({ ready, reports: [lesson.report()] });
        };
        return [one(1000), one(252)];""",
        parts=COMPUTING + DRAWING,
    )
    words = "Only the 252 commonest characters are learned; 74.8\u00a0% of the text are others, each read as &lt;unk&gt;."
    assert words in said[0] and "commonest" not in said[1]


# ---- The pages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def open_page(browser, server):
    """Open a page; in the end nothing has gone wrong in it, and no other host was asked."""
    opened = []

    def open_it(name, base=server, errors=True, **options):
        options = {
            "viewport": {"width": 1280, "height": 900},
            "reduced_motion": "reduce",
            **options,
        }
        context = browser.new_context(**options)
        page = context.new_page()
        heard = {"page": page, "errors": [], "asked": [], "strict": errors, "base": base}
        page.on("request", lambda r: heard["asked"].append(r.url))
        page.on("console", lambda m: heard["errors"].append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: heard["errors"].append(str(e)))
        opened.append((context, heard))
        page.goto(f"{base}book/live/{name}.html")
        page.heard = heard
        return page

    yield open_it
    for context, heard in opened:
        context.close()
        if heard["strict"]:
            assert heard["errors"] == []
        outside = [u for u in heard["asked"] if not u.startswith((heard["base"], "data:", "blob:"))]
        assert outside == []


def part(page, name):
    return page.locator(f"[data-live={name}]")


def load(page, name):
    box = part(page, name)
    box.locator(".live-load").click()
    box.locator(".live-go:not([disabled])").wait_for(timeout=20000)
    return box


def packed_model(html, name, tmp_path):
    """The model that the page computes with, as the package loads it."""
    from safetensors.numpy import load_file, save_file

    from tools.live_weights import unpack
    from transformer_lib.saving import load_model

    folder = tmp_path / name
    folder.mkdir()
    at = html / "_static" / "live" / "models" / name
    save_file(unpack(load_file(at / "model.safetensors")), folder / "model.safetensors")
    config = json.loads((at / "config.json").read_text("utf-8"))
    config.pop("live")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes((at / "tokenizer.json").read_bytes())
    return load_model(folder)


def number(text):
    return float(text.replace("−", "-").replace("%", "").replace("<", "").strip())


def bars_of(box):
    rows = box.locator(".live-output .live-bars").first.locator("tr").all()
    return [
        (row.locator("th").inner_text(), row.locator(".live-number").inner_text()) for row in rows
    ]


@pytest.mark.slow
def test_nothing_is_loaded_before_it_is_asked_for(open_page):
    page = open_page("answers")
    page.wait_for_load_state("networkidle")
    asked = page.heard["asked"]
    assert [url for url in asked if "/models/" in url or url.endswith("text.js")] == []
    scripts = [url for url in asked if "/live/" in url and url.endswith(".js")]
    assert len(scripts) >= 10
    assert re.search(
        r"Load the model \(\d+ kB\)", part(page, "classifier").locator(".live-load").inner_text()
    )


def test_the_view_of_maps_is_the_one_of_the_package():
    from book.ext.live import view_of_maps
    from transformer_lib import seeing_attention

    for name, text in view_of_maps().items():
        assert text == getattr(seeing_attention, name) and len(text) > 1000


def test_scripts_take_at_most_150_kilobytes(record_property):
    from book.ext.live import view_of_maps

    total = sum(path.stat().st_size for path in LIVE.glob("*.js"))
    total += sum(map(len, view_of_maps().values()))
    record_property("measured", f"scripts: {total / 1000:.0f} kB")
    assert total <= 150_000


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.slow
def test_worked_examples_are_there_before_anything_is_loaded(open_page, html, tmp_path, scripts):
    page = open_page("answers", java_script_enabled=scripts)
    box = part(page, "classifier")
    assert box.locator("form").is_visible() == scripts
    model, tokenizer, labels = packed_model(html, "classifier", tmp_path)
    caption = box.locator(".live-output .live-bars caption").inner_text()
    text = re.match("“(.*)”", caption)[1]
    log_probs = model(torch.tensor([tokenizer.encode(text).ids]))[0][0]
    for (label, shown), p in zip(bars_of(box), log_probs.exp().tolist(), strict=True):
        assert number(shown) == pytest.approx(100 * p, abs=0.11), label
    assert [label for label, _ in bars_of(box)] == labels
    assert part(page, "generator").locator(".live-worked .live-text").count() == 3
    bar = box.locator(".live-bar span").first  # the colours are there too
    assert bar.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(0, 114, 178)"


@pytest.mark.parametrize("name", ["touch", "learns"])
@pytest.mark.slow
def test_every_part_shows_its_default_state_without_scripts(open_page, name):
    page = open_page(name, java_script_enabled=False)
    parts = page.locator("[data-live]").all()
    assert len(parts) == {"touch": 5, "learns": 1}[name]
    for element in parts:
        assert element.locator("table:visible, svg:visible").count() > 0
        assert not element.locator("form").is_visible()


@pytest.mark.slow
def test_before_a_model_is_loaded_what_can_be_pressed_does_something(open_page):
    page = open_page("answers")
    for box in (part(page, "classifier"), part(page, "generator")):
        assert box.locator(".live-output .live-tokens").is_visible()
        assert box.locator(".live-output button").count() == 0
        box.locator(".live-example").nth(1).click()
        assert box.locator(".live-status").inner_text() == "Load the model to ask this."
    page = open_page("learns")
    assert part(page, "learner").locator(".live-output .live-glance").is_visible()
    assert part(page, "learner").locator(".live-output button").count() == 0


@pytest.mark.slow
def test_classifier_shows_the_numbers_of_the_package(open_page, html, tmp_path):
    model, tokenizer, labels = packed_model(html, "classifier", tmp_path)
    page = open_page("answers")
    box = load(page, "classifier")
    text = "The naïve café it’s <script>alert(1)</script> 42 lines"
    box.locator("textarea").fill(text)
    box.locator(".live-go").click()
    box.get_by_text("“The naïve café").wait_for()
    assert box.get_by_text("The weights take 8 bits each").is_visible()
    ids = tokenizer.encode(text).ids[:20]
    log_probs, maps = model(torch.tensor([ids]))
    for (label, shown), p in zip(bars_of(box), log_probs[0].exp().tolist(), strict=True):
        assert number(shown) == pytest.approx(100 * p, abs=0.11), label
    for layer, head, token in ((0, 0, 0), (1, 2, 3), (1, 3, len(ids) - 1)):
        box.locator(".av-glance button").nth(4 * layer + head).click()
        box.locator(".av-strip button").nth(token).click()
        page.mouse.move(0, 0)
        expected = maps[layer][0, head, token].tolist()
        shown = [number(t) for t in box.locator(".av-strip small").all_inner_texts()]
        assert shown == pytest.approx(expected, abs=0.00051)
        assert sum(shown) == pytest.approx(1, abs=0.0006 * len(ids))
        summary = box.locator(
            ".live-output .live-inside details[data-name=steps] summary"
        ).inner_text()
        assert summary.startswith(f"What layer {layer + 1}, head {head + 1} did for")
        softmax = [
            float(x)
            for x in box.locator(
                ".live-output details[data-name=steps] tbody tr td:nth-of-type(4)"
            ).all_text_contents()
        ]
        assert softmax == pytest.approx(expected, abs=0.00051)


@pytest.mark.slow
def test_a_picture_of_a_map_is_as_dark_as_its_weights(open_page, html, tmp_path):
    model, tokenizer, _ = packed_model(html, "classifier", tmp_path)
    page = open_page("answers")
    box = load(page, "classifier")
    box.locator("textarea").fill("naïve café lines")
    box.locator(".live-go").click()
    box.get_by_text("“naïve café lines”").wait_for()
    maps = model(torch.tensor([tokenizer.encode("naïve café lines").ids]))[1]
    legend = box.locator(".av-legend span").first.inner_text()
    full = float(re.match(r"0\s*([\d.]+) or more", legend)[1])
    for layer, head in ((0, 1), (1, 3)):
        alphas = torch.tensor(
            box.locator(".av-glance canvas")
            .nth(4 * layer + head)
            .evaluate(
                "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, n) => n % 4 === 3)"
            )
        )
        expected = 255 * (maps[layer][0, head].detach() / full).clamp(max=1)
        assert (alphas.view_as(expected) - expected).abs().max() < 1.5


def without_special(logits):
    """The logits with which a page draws: no <pad>, <unk> or <mask>."""
    logits = logits.detach().clone()
    logits[:, [0, 1, 3]] = float("-inf")
    return logits


@pytest.mark.slow
def test_generator_shows_and_draws_what_the_package_computes(open_page, html, tmp_path):
    from transformer_lib.sampling import probabilities

    model, tokenizer, _ = packed_model(html, "generator", tmp_path)
    page = open_page("answers")
    box = load(page, "generator")
    text, choice = "It’s a test", {"temperature": 0.7, "top_k": 20, "top_p": 0.9}
    box.locator("textarea").fill(text)
    for name, value in {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 40}.items():
        box.locator(f"[name={name}]").evaluate(
            "(e, value) => { e.value = value; e.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )
    box.locator("[name=top_k]").select_option("20")
    box.locator("[name=seed]").fill("12345")
    box.locator(".live-go").click()
    box.get_by_text(re.compile("tokens? in .* a second")).wait_for(timeout=20000)
    row = tokenizer.encode(text).ids
    p = probabilities(without_special(model(torch.tensor([row]))[0][:, -1]), **choice)[0]
    best = p.sort(descending=True, stable=True).values[:10].tolist()
    assert [number(shown) for _, shown in bars_of(box)] == pytest.approx(
        [100 * x for x in best if x], abs=0.11
    )
    generator, whole = torch.Generator().manual_seed(12345), list(row)
    for _ in range(40):
        row = row[-12:] if len(row) > 24 else row
        logits = without_special(model(torch.tensor([row]), return_attention=False)[0][:, -1])
        p = probabilities(logits, **choice)[0].double()
        token = int((p.cumsum(0) > torch.rand((), generator=generator).item()).nonzero()[0])
        if token == 2:
            break
        row, whole = [*row, token], [*whole, token]
    assert box.locator(".live-written").text_content() == tokenizer.decode(whole)


@pytest.mark.slow
def test_only_tokens_that_can_be_drawn_have_a_bar(open_page):
    box = load(open_page("answers"), "generator")
    for name, value, bars in (("top_k", "5", 5), ("temperature", "0", 1)):
        box.locator(f"[name={name}]").evaluate(
            "(e, value) => { e.value = value; e.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )
        box.page.wait_for_function(
            "n => document.querySelectorAll('[data-live=generator] .live-output .live-bars tr').length === n",
            arg=bars,
        )


@pytest.mark.slow
def test_a_stop_button_ends_a_text_and_seeds_repeat_it(open_page):
    page = open_page("answers")
    box = load(page, "generator")
    box.locator("[name=max_new_tokens]").evaluate("e => (e.value = 30)")

    def written():
        box.locator(".live-status").evaluate("e => (e.textContent = '')")
        box.locator(".live-go").click()
        box.get_by_text(re.compile("tokens? in .* a second")).wait_for(timeout=20000)
        return box.locator(".live-written").text_content()

    assert written() == written()
    page.evaluate("""() => {
        const real = live.generate;
        live.generate = function* (...all) { for (const step of real(...all)) { const t = performance.now(); while (performance.now() < t + 30); yield step; } };
    }""")
    box.locator("[name=max_new_tokens]").evaluate("e => (e.value = 300)")
    box.locator(".live-status").evaluate("e => (e.textContent = '')")
    box.evaluate(  # from within, since a driver waits until a busy page is still
        """(e) => {
            e.querySelector(".live-go").click();
            setTimeout(() => e.querySelector(".live-stop").click(), 300);
        }"""
    )
    box.get_by_text(re.compile("tokens? in .* a second")).wait_for(timeout=20000)
    assert int(re.match(r"(\d+)", box.locator(".live-status").inner_text())[1]) < 250


@pytest.mark.parametrize("how", ["missing", "half", "cut off", "no config"])
@pytest.mark.slow
def test_weights_that_fail_to_arrive_give_a_sentence_and_can_be_asked_for_again(
    open_page, html, how
):
    page = open_page("answers", errors=False)
    data = (html / "_static/live/models/classifier/model.safetensors").read_bytes()
    answers = {
        "missing": lambda route: route.fulfill(status=404, body="not here"),
        "half": lambda route: route.fulfill(body=data[: len(data) // 2]),
        "cut off": lambda route: route.abort(),
        "no config": lambda route: route.fulfill(body="<html>"),
    }
    pattern = "**/config.json" if how == "no config" else "**/model.safetensors"
    page.route(pattern, answers[how])
    box = part(page, "classifier")
    box.locator(".live-load").click()
    said = "damaged, or half of it is missing" if how == "half" else "The weights did not arrive"
    box.get_by_text(said).wait_for(timeout=10000)
    assert box.locator(".live-output table").count() > 0 and box.locator(".live-load").is_enabled()
    page.unroute(pattern)
    load(page, "classifier")


ANY_TEXTS = [
    "",
    " \n\t ",
    "x " * 50_000,
    "x" * 100_000,
    "\ud83d",
    "א ב <img src=x onerror=alert(1)> 👩‍👧",
    "\u0000\u202e",
]


@pytest.mark.slow
def test_any_text_gets_an_answer_or_a_sentence(open_page):
    page = open_page("answers")
    boxes = {name: load(page, name) for name in ("classifier", "generator")}
    boxes["generator"].locator("[name=max_new_tokens]").evaluate("e => (e.value = 10)")
    for text, box in itertools.product(ANY_TEXTS, boxes.values()):
        box.locator("textarea").evaluate("(e, text) => (e.value = text)", text)
        box.locator(".live-status").evaluate("e => (e.textContent = '')")
        box.locator(".live-output").evaluate("e => (e.textContent = '')")
        box.locator(".live-go").click()
        box.get_by_text(re.compile("Computed here|a second")).first.wait_for(timeout=20000)
        output = box.locator(".live-output")
        said = output.inner_text()
        assert output.locator("table").count() > 0 or "no word in this text" in said, text[:50]
        assert page.locator("img[src=x]").count() == 0
        if len(text) > 1000 and " " in text:
            assert re.search(r"reads \d+ tokens|goes on from the last \d+", said)
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), text[:50]


@pytest.mark.slow
def test_keys_choose_a_token_and_the_focus_stays(open_page):
    page = open_page("answers")
    box = load(page, "classifier")
    strip = box.locator(".av-strip button")
    strip.nth(0).focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert strip.nth(2).get_attribute("aria-pressed") == "true"
    assert strip.nth(2).evaluate("b => b === document.activeElement")
    box.locator(".live-output .live-inside details[data-name=steps] summary").focus()
    page.keyboard.press("Enter")
    steps = box.locator(".live-output .live-inside details[data-name=steps] table")
    assert steps.is_visible()
    box.locator(".av-glance button").nth(0).focus()
    page.keyboard.press("ArrowDown")
    assert box.locator(".av-glance button").nth(4).evaluate("b => b === document.activeElement")
    assert steps.is_visible(), "it stays open"


SIZES = {"telephone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
         "200 %": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2}}  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["answers", "learns", "touch", "engine"])
@pytest.mark.slow
def test_pages_fit_a_telephone_and_a_large_zoom(open_page, name, size):
    page = open_page(name, **SIZES[size])
    if name == "answers":
        box = load(page, "classifier")
        if size == "telephone":
            box.locator(".av-strip button").nth(1).tap()
            assert box.locator(".av-strip button").nth(1).get_attribute("aria-pressed") == "true"
            low = box.locator("button:visible").evaluate_all(
                "all => Math.min(...all.map(b => b.getBoundingClientRect().height))"
            )
            assert low >= 40  # a finger's width
        for summary in box.locator(".live-output summary").all():
            summary.click()
    from tests.test_site import SIDEWAYS

    assert page.evaluate(SIDEWAYS) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["answers", "learns", "touch", "engine"])
@pytest.mark.slow
def test_pages_are_accessible_with_everything_open(open_page, name, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(name, color_scheme=theme)
    if name == "answers":
        for kind in ("classifier", "generator"):
            load(page, kind)
    page.locator(".live details").evaluate_all("all => all.forEach(d => (d.open = true))")
    if name == "engine":
        page.evaluate(
            "document.querySelectorAll('article pre span').forEach((s, i) => i % 40 && s.replaceWith(...s.childNodes))"
        )
    options = {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(page, options=options).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []


@pytest.mark.slow
def test_sliders_move_what_they_say(open_page):
    page = open_page("touch")
    box = part(page, "temperature")
    before = bars_of(box)
    box.locator("[name=temperature]").focus()
    page.keyboard.press("Home")
    assert box.locator("output").first.inner_text() == "0"
    assert bars_of(box)[0][1] == "100.0\u00a0%" and bars_of(box) != before
    logits = torch.tensor([[4, 3.2, 3, 2.2, 1.5, 0.2, -1, -3]])
    page.keyboard.press("End")
    p = (logits / 3).softmax(-1)[0].tolist()
    assert [number(t) for _, t in bars_of(box)] == pytest.approx([100 * x for x in p], abs=0.06)
    box = part(page, "mask")
    assert "4 of 6 words stay" in box.inner_text()
    box.locator("[name=causal]").uncheck()
    assert "0 of 6 words stay" in box.inner_text()
    assert box.locator(".live-hidden").count() == 0
    rows = box.locator(".live-map tbody tr").all()
    for row in rows:
        values = [number(t) for t in row.locator("td[style]").all_inner_texts()]
        assert sum(values) == pytest.approx(1, abs=0.031)
    box = part(page, "heads")
    for heads in ("1", "2", "8"):
        box.locator("select").select_option(heads)
        assert (
            box.locator(".live-map").count() == int(heads)
            and "1,088 parameters" in box.inner_text()
        )
    box = part(page, "positions")
    assert {t for _, t in bars_of(box)} == {"0.00"}
    box.locator("[name=positions]").check()
    assert all(number(t) > 0 for _, t in bars_of(box))
    box = part(page, "scale")
    average = r"it is (\d\.\d+) on average"
    largest = number(re.search(average, box.inner_text())[1])
    box.locator("[name=scaled]").uncheck()
    assert number(re.search(average, box.inner_text())[1]) > largest + 0.3


@pytest.mark.slow
def test_a_model_learns_in_the_page_as_it_does_under_node(open_page):
    page = open_page("learns")
    box = part(page, "learner")
    box.locator("[name=choice]").select_option("sums in words")
    box.locator("[name=seed]").fill("3")
    box.locator(".live-run").press("Enter")
    at_focus = "document.activeElement.className"
    assert page.evaluate(at_focus) == "live-pause"  # not lost with the button that was pressed
    box.get_by_text(re.compile(r"Step \d+, loss")).wait_for(timeout=30000)
    # What the run has from its start cannot be changed below it, until it is reset.
    fixed = box.locator(
        "[name=choice], [name=text], [name=num_layers], [name=embedding_dim], [name=seed]"
    )
    open_fields = "all => all.filter(field => !field.disabled).length"
    assert fixed.evaluate_all(open_fields) == 0
    box.locator(".live-pause").press("Enter")
    assert page.evaluate(at_focus) == "live-run"
    page.wait_for_function(
        "document.querySelector('.live-chart svg').getAttribute('aria-label').includes('step')"
    )
    page.wait_for_timeout(500)
    at = int(re.search(r"Step (\d+)", box.locator(".live-status").inner_text())[1])
    box.locator(".live-step").click()
    box.get_by_text(f"Step {at + 1}, loss").wait_for(timeout=10000)
    page.wait_for_function(
        f"document.querySelector('.live-chart figcaption').textContent.includes('step {at + 1}:')"
    )
    loss = float(re.search(r"loss (\d+\.\d+)", box.locator(".live-status").inner_text())[1])
    held = float(
        re.search(r"(\d+\.\d+) on text kept apart", box.locator("figcaption").inner_text())[1]
    )
    same = node(
        """const lesson = new live.Lesson(live.sums(), {seed: 3});
        let loss;
        for (let n = 0; n < data; n++) loss = lesson.step(3e-3);
        return [loss, lesson.evaluate(), lesson.sample().text];""",
        at + 1,
    )
    assert [loss, held] == pytest.approx(same[:2], abs=0.0051)
    assert same[2] in box.locator(".live-text").last.text_content()
    box.locator(".live-reset").press("Enter")
    assert page.evaluate(at_focus) == "live-run"
    assert "Reset" in box.locator(".live-status").inner_text()
    assert box.locator(".live-run").inner_text() == "Start"
    assert fixed.evaluate_all(open_fields) == 5


@pytest.mark.slow
def test_of_a_long_text_is_said_what_is_read_and_what_is_measured(open_page):
    page = open_page("learns")
    said = page.evaluate("""() => {
        const lesson = new live.Lesson("abc abd ".repeat(26_000)), { sizes, parameters, learned, held, kept, cut } = lesson;
        const ready = { sizes, parameters, learned: learned.length, held: held.length, kept, cut, baseline: { order: 1, loss: 1 } };
        return live.learns.show({ ready, reports: [lesson.report()] });
    }""")
    assert "180,000 characters to learn from, 20,000 kept apart, of which the first 2,000" in said
    assert "longer than the 200,000 characters that are read of it" in said
    assert "the first 2,000 characters" in page.locator("article").inner_text()


@pytest.mark.slow
def test_a_text_that_is_too_short_and_a_rate_that_is_too_high_are_said(open_page):
    page = open_page("learns")
    box = part(page, "learner")
    box.locator("[name=choice]").select_option("my own")
    box.locator("textarea").fill("too short")
    box.locator(".live-run").click()
    box.get_by_text("The text is too short to learn from").wait_for(timeout=10000)
    box.locator("textarea").fill("abc abd <b>abe</b> 漢字 " * 40)
    box.locator("[name=rate]").evaluate(
        "e => { e.value = 7; e.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    box.locator(".live-run").click()
    box.get_by_text(re.compile(r"Step \d+, loss")).wait_for(timeout=30000)
    box.locator(".live-pause").click()
    assert box.locator("b b, .live-text b b").count() == 0


@pytest.mark.slow
def test_the_page_answers_while_the_model_learns(open_page, record_property):
    page = open_page("learns")
    part(page, "learner").locator(".live-run").click()
    part(page, "learner").get_by_text(re.compile(r"Step \d+, loss")).wait_for(timeout=30000)
    longest = page.evaluate("""async () => {
        let last = performance.now(), longest = 0;
        for (let n = 0; n < 60; n++) {
          await new Promise(resolve => setTimeout(resolve, 16));
          longest = Math.max(longest, performance.now() - last);
          last = performance.now();
        }
        return longest;
    }""")
    record_property("measured", f"the longest wait while a model learns: {longest:.0f} ms")
    assert longest < 1000


@pytest.mark.slow
def test_pages_work_as_files(open_page, html):
    page = open_page("answers", base=html.as_uri() + "/")
    for name in ("classifier", "generator"):
        box = load(page, name)
        assert "Computed here" in box.locator(".live-status").inner_text()
    page = open_page("learns", base=html.as_uri() + "/")
    box = part(page, "learner")
    box.locator("[name=choice]").select_option("this book")
    box.locator(".live-run").click()
    box.get_by_text(re.compile(r"Step \d+, loss")).wait_for(timeout=30000)


READY = """async () => {
    const began = performance.now(), box = document.querySelector("[data-live=generator]");
    box.querySelector(".live-load").click();
    while (box.querySelector(".live-go").disabled) await new Promise(resolve => setTimeout(resolve, 10));
    return (performance.now() - began) / 1000;
}"""


@pytest.mark.slow
def test_ready_on_a_slow_line_and_a_slow_processor(open_page, record_property):
    """10 Mbit a second and a processor slowed four times; of three tries the best, since other work slows them."""
    seconds, slow = math.inf, dict(offline=False, latency=40)
    slow |= dict.fromkeys(("downloadThroughput", "uploadThroughput"), 1.25e6)
    for _ in range(3):
        page = open_page("answers")
        line = page.context.new_cdp_session(page)
        line.send("Network.emulateNetworkConditions", slow)
        line.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        seconds = min(seconds, page.evaluate(READY))
        line.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        if seconds < 3:
            break
    box = load(page, "classifier")

    def said(pattern):
        box.locator(".live-status").evaluate("e => (e.textContent = '')")
        box.locator(".live-go").click()
        box.get_by_text(re.compile(pattern)).wait_for(timeout=20000)
        return int(re.search(pattern, box.locator(".live-status").inner_text())[1])

    classified = min(said(r"(\d+) ms") for _ in range(5))
    box = part(page, "generator")
    box.locator(".live-example").nth(1).click()  # of this one the model writes more than a few
    rate = max(said(r"tokens? in .* (\d+) a second") for _ in range(3))
    measured = f"ready in {seconds:.1f} s, a sentence and its maps in {classified} ms, {rate} tokens a second"
    record_property("measured", measured)
    assert seconds < 3 and classified < 100 and rate >= 30

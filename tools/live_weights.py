"""Pack what the live pages load: trained weights in 16 or 8 bits, and the characters that a tokenizer cuts by.

    python tools/live_weights.py FOLDER TARGET   pack a folder that save_model wrote
    python tools/live_weights.py --unicode       write book/static/live/unicode.js

The build of the book calls `pack` for each model of `transformer_lib/weights` (book/ext/live.py), so nothing packed is stored.
"""

import argparse
import base64
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 2_000_000  # bytes that the weights of one model may take in the page


def squeeze(values, bits):
    """The tensors that stand for one in the page: itself in 16 bits, or 8 bits and a scale for each row."""
    if bits == 16:
        return {"": values.astype(np.float16)}
    if values.ndim < 2:
        return {"": values.astype(np.float32)}
    largest = np.abs(values).max(1)
    scale = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
    return {"": np.rint(values / scale[:, None]).astype(np.int8), ".scale": scale}


def unpack(packed):
    """The float32 tensors that the page computes with, from those of `squeeze`."""
    tensors = {}
    for name, values in packed.items():
        if not name.endswith(".scale"):
            scale = packed.get(name + ".scale")
            wide = values.astype(np.float32)
            tensors[name] = wide if scale is None else wide * scale.reshape(-1, 1)
    return tensors


def squeeze_all(tensors, bits=None):
    """All tensors in 16 bits a weight, or 8 where 16 would be too large; the number of bits; the bytes of the file."""
    for tried in (bits,) if bits else (16, 8):
        packed = {
            name + end: np.ascontiguousarray(part)
            for name, values in sorted(tensors.items())
            for end, part in squeeze(values, tried).items()
        }
        data = save(packed)
        if len(data) <= LARGEST:
            return packed, tried, data
    raise ValueError(
        f"the weights take {len(data):,} bytes with {tried} bits each; "
        f"a model in the page may have {LARGEST:,}"
    )


def pack(folder, target, bits=None):
    """Write model.safetensors (smaller), config.json, tokenizer.json, and all of them once more as model.js.

    A page that was opened as a file may not fetch, but it may load a script: that is what model.js is for. Returns what
    was done: bits, bytes, and the largest change of a weight.
    """
    folder, target = Path(folder), Path(target)
    stored = load_file(folder / "model.safetensors")
    tensors = unpack(stored)  # save_model(bits=8) has scales, of shape (rows, 1)
    packed, bits, data = squeeze_all(tensors, bits or (8 if len(stored) > len(tensors) else None))
    change = max(float(np.abs(unpack(packed)[name] - tensors[name]).max()) for name in tensors)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["live"] = {"bits": bits, "bytes": len(data), "largest_change": change}
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    target.mkdir(parents=True, exist_ok=True)
    (target / "model.safetensors").write_bytes(data)
    lean = {"ensure_ascii": False, "separators": (",", ":")}
    (target / "config.json").write_text(json.dumps(config, **lean), "utf-8")
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, **lean), "utf-8")
    whole = {"config": config, "tokenizer": tokenizer, "weights": base64.b64encode(data).decode()}
    script = (
        f"(live.files ??= {{}})[{target.name!r}] = {json.dumps(whole, separators=(',', ':'))};\n"
    )
    (target / "model.js").write_text(script, "utf-8")
    return config["live"]


def members(pattern):
    """The ranges of characters that a class such as \\w holds for `tokenizers`, each as [first, last]."""
    from tokenizers import Regex, pre_tokenizers

    every = [chr(c) for c in range(2, 0x110000) if not 0xD800 <= c < 0xE000]
    cut = pre_tokenizers.Split(Regex(pattern), "isolated", False)
    ranges = []
    for first in range(0, len(every), 4096):
        for piece, _ in cut.pre_tokenize_str("\x01".join(every[first : first + 4096])):
            if len(piece) == 1 and piece != "\x01":
                code = ord(piece)
                if ranges and ranges[-1][1] == code - 1:
                    ranges[-1][1] = code
                else:
                    ranges.append([code, code])
    return ranges


def in_base_36(number):
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (in_base_36(number // 36) if number >= 36 else "") + digits[number % 36]


def unicode_script():
    """The text of unicode.js: each class as the gap before a range and its length, in base 36."""
    lines = []
    for name, pattern in {
        "letter": r"\p{L}",
        "number": r"\p{N}",
        "word": r"\w",
        "space": r"\s",
    }.items():
        end, numbers = 0, []
        for first, last in members(pattern):
            numbers += [in_base_36(first - end), in_base_36(last - first)]
            end = last
        lines.append(f'    {name}: "{" ".join(numbers)}",')
    return "\n".join([
        "// Which characters are letters, numbers, parts of words and spaces for Python's `tokenizers`: the gap before each",
        "// range and its length, in base 36. Browsers know other versions of Unicode, and the ids must not depend on it.",
        "// Written by tools/live_weights.py --unicode.",
        "((part) => {",
        "  globalThis.live ??= { parts: [] };",
        "  live.parts.push(part);",
        "  part(live);",
        "})((live) => {",
        "  live.unicode = {",
        *lines,
        "  };",
        "});",
        "",
    ])  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", metavar="FOLDER TARGET")
    parser.add_argument("--bits", type=int, choices=(8, 16))
    parser.add_argument("--unicode", action="store_true")
    given = parser.parse_args()
    if given.unicode:
        (ROOT / "book/static/live/unicode.js").write_text(unicode_script(), "utf-8")
    elif len(given.paths) == 2:
        print(pack(*given.paths, bits=given.bits))
    else:
        sys.exit("give a folder that save_model wrote, and a folder to write to")


if __name__ == "__main__":
    main()

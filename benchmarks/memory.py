"""Peak memory of one training step against the sequence length, with maps and without.

Twice: one sequence a batch, and a fixed number of tokens a batch.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import torch
from machine import store

from transformer_lib.decoder import Decoder

LENGTHS, TOKENS = (512, 1024, 2048, 4096, 8192), 8192
SIZES = dict(embedding_dim=64, num_heads=2, num_layers=2)
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def highest():
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def held():
    """The memory that this process holds now, in bytes."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return highest()


def one(T, B, maps):
    """Bytes that a step adds to the memory of the process, measured in a process of its own."""
    model = Decoder(65, T, **SIZES)
    tokens = torch.randint(65, (B, T))
    model(tokens[:, :64], tokens[:, :64], return_attention=maps)[
        1
    ].backward()  # libraries are loaded
    before = held()
    model(tokens, tokens, return_attention=maps)[1].backward()
    return highest() - before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument(
        "--one", type=int, nargs=3, help="length, batch and 1 (maps) or 0, in this process"
    )
    arguments = parser.parse_args()
    if arguments.one:
        return print(one(*arguments.one[:2], bool(arguments.one[2])))
    results = []
    for T in arguments.lengths:
        for B in dict.fromkeys((1, max(1, TOKENS // T))):
            for maps in (0, 1):
                done = subprocess.run(
                    [sys.executable, __file__, "--one", str(T), str(B), str(maps)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                added = int(done.stdout)
                # B = 1 is one sequence; at T = TOKENS that is the fixed number of tokens as well
                results.append({"length": T, "batch": B, "maps": bool(maps), "bytes": added})
                print(
                    f"T = {T}, B = {B}, maps {'on' if maps else 'off'}: {added / 2**20:,.0f} MiB",
                    flush=True,
                )
    off = {(r["length"], r["batch"]): r["bytes"] for r in results if not r["maps"]}
    if {1024, 8192} <= set(arguments.lengths):
        print(
            f"maps off, from 1,024 to 8,192: one sequence, memory times {off[8192, 1] / off[1024, 1]:.2f}; "
            f"{TOKENS:,} tokens, times {off[8192, 1] / off[1024, 8]:.2f}"
        )
    store("memory", results)


if __name__ == "__main__":
    main()

"""Peak memory of one training step against the sequence length, at a fixed number of tokens."""
import argparse
import resource
import subprocess
import sys

import torch
from machine import store

from transformer_lib.decoder import Decoder

LENGTHS, TOKENS = (512, 1024, 2048, 4096, 8192), 8192


def one(T, maps):
    """Bytes that a step adds to the memory of the process, measured in a process of its own."""
    model = Decoder(65, T, embedding_dim=64, num_heads=2, num_layers=2)
    tokens = torch.randint(65, (TOKENS // T, T))
    warm = Decoder(65, 64, embedding_dim=64, num_heads=2, num_layers=2)
    warm(tokens[:, :64], tokens[:, :64], return_attention=maps)[1].backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model(tokens, tokens, return_attention=maps)[1].backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", nargs=2, help="length and 1 (maps) or 0, in this process")
    arguments = parser.parse_args()
    if arguments.one:
        return print(one(int(arguments.one[0]), arguments.one[1] == "1"))
    results = []
    for maps in (0, 1):
        for T in LENGTHS:
            if maps and T > 4096:
                continue  # tens of gigabytes
            done = subprocess.run([sys.executable, __file__, "--one", str(T), str(maps)],
                                  capture_output=True, text=True, check=True)
            results.append({"length": T, "maps": bool(maps), "bytes": int(done.stdout)})
            print(f"T = {T}, maps {'on' if maps else 'off'}: {int(done.stdout) / 2**20:,.0f} MiB", flush=True)
    off = {r["length"]: r["bytes"] for r in results if not r["maps"]}
    print(f"maps off, {TOKENS:,} tokens, from 1,024 to 8,192: memory times {off[8192] / off[1024]:.2f}")
    store("memory", results)


if __name__ == "__main__":
    main()

"""All measurements, one after the other; each stores its figures in benchmarks/results/."""
import subprocess
import sys
from pathlib import Path

for name in ("speed", "memory", "learning", "classifier", "generator"):
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=True)

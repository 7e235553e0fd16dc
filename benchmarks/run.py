"""All measurements, one after the other; each stores its figures in benchmarks/results/.

python benchmarks/run.py [speed speed_avx2 memory learning recipe classifier generator]
"""

import subprocess
import sys
from pathlib import Path

ALL = ("speed", "speed_avx2", "memory", "learning", "recipe", "classifier", "generator")
OTHERS = {"speed_avx2": ("speed", "--avx2")}  # those that are an option of another's script

for name in sys.argv[1:] or ALL:
    print(f"== {name}", flush=True)
    script, *options = OTHERS.get(name, (name,))
    path = Path(__file__).with_name(f"{script}.py")
    subprocess.run([sys.executable, path, *options], check=True)

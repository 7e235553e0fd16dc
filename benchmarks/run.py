"""All measurements, one after the other; each stores its figures in benchmarks/results/.

python benchmarks/run.py [speed memory learning recipe classifier generator]
"""

import subprocess
import sys
from pathlib import Path

for name in sys.argv[1:] or ("speed", "memory", "learning", "recipe", "classifier", "generator"):
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=True)

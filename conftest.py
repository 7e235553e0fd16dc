"""Settings for every test and for the kernels that nbval starts."""
import os

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads starve a busy machine
os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars leave no trace in outputs

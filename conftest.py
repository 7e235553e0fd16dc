"""Settings for every test and for the kernels that nbval starts."""
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for small models a second thread gains little
os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars leave no trace in outputs

"""What has to be said before libraries are imported."""

import os

# With more threads than cores, as where two test processes have two each, threads that spin wait for one another.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from featlearn import environment

if not torch.cuda.is_available():  # Triton's kernels run in its interpreter; it asks when it is first imported
    os.environ.setdefault("TRITON_INTERPRET", "1")

environment.SOFTENED.clear()  # within a run, too, a warning is an error here

"""Settings that must be made before libraries are imported."""

import os
from contextlib import suppress

# With more threads than cores, as where two test processes have two each, threads that spin wait for one another.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from mock_device import quicken_interpreter

from featlearn import environment

if not torch.cuda.is_available():  # Triton's kernels run in its interpreter; it asks when it is first imported
    os.environ.setdefault("TRITON_INTERPRET", "1")
    with suppress(ImportError):
        quicken_interpreter()

environment.SOFTENED.clear()  # within a run, too, a warning is an error here

"""Without a GPU, Triton's kernels run in its interpreter: it asks when it is first imported."""

import os

import torch

from featlearn import surroundings

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

surroundings.SOFTENED.clear()  # within a run, too, a warning is an error here

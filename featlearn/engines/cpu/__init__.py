"""The Gram engine in loops compiled for a CPU (numba)."""

"""The Gram engine in kernels compiled for a GPU (Triton)."""

"""The choice of the device."""

from __future__ import annotations

import torch


def chosen_device(device: str) -> str:
    """Return cpu or cuda; auto takes cuda if there is one.

    Raises ValueError for another word, and for cuda if torch finds none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda; found {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda was requested, but torch finds no CUDA device; use cpu or auto")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"

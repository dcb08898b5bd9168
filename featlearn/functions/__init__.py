"""Activations and losses, each from one definition for torch, for compiled loops and for device kernels."""

from featlearn.functions.activations import ACTIVATIONS, activation
from featlearn.functions.losses import LOSSES, loss

__all__ = ["ACTIVATIONS", "LOSSES", "activation", "loss"]

"""Activations and losses, each defined once for torch, compiled loops and device kernels."""

from featlearn.functions.activations import ACTIVATIONS, Activation, activation
from featlearn.functions.losses import LOSSES, LossFunction, loss

__all__ = ["ACTIVATIONS", "LOSSES", "Activation", "LossFunction", "activation", "loss"]

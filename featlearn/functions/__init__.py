"""Activations and losses, each defined once for torch, compiled loops and device kernels."""

from featlearn.functions.activations import ACTIVATIONS, Activation
from featlearn.functions.losses import LOSSES, LossFunction
from featlearn.functions.own import activation, loss

__all__ = ["ACTIVATIONS", "LOSSES", "Activation", "LossFunction", "activation", "loss"]

"""Activations and losses, each from one definition for torch, for compiled loops and for device kernels."""

from featlearn.functions.activations import ACTIVATIONS, Activation, activation
from featlearn.functions.losses import LOSSES, LossFunction, loss

__all__ = ["ACTIVATIONS", "LOSSES", "Activation", "LossFunction", "activation", "loss"]

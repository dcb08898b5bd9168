"""Closed forms on plain numbers.

This package imports nothing else of featlearn, so that comparing theory with simulation is an independent test.
"""

from featlearn.theory.boundaries import BOUNDARIES, SETTINGS, power_boundary, sam_boundary, sgd_boundary
from featlearn.theory.edges import EDGES, sam_edge, stability_edge, usam_edge
from featlearn.theory.scales import init_std, sam_epochs, sam_radius, snr

__all__ = [
    "BOUNDARIES",
    "EDGES",
    "SETTINGS",
    "init_std",
    "power_boundary",
    "sam_boundary",
    "sam_edge",
    "sam_epochs",
    "sam_radius",
    "sgd_boundary",
    "snr",
    "stability_edge",
    "usam_edge",
]

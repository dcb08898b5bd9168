"""Closed forms on plain numbers.

This package imports nothing else of featlearn, so that comparing theory with simulation is an independent test.
"""

from featlearn.theory.boundaries import power_boundary, sam_boundary, sgd_boundary
from featlearn.theory.edges import EDGES, sam_edge, stability_edge, usam_edge
from featlearn.theory.escape import (
    escape_steps,
    margins_boundary,
    margins_conditions,
    multi_view_boundary,
    multi_view_conditions,
    spurious_boundary,
    spurious_conditions,
)
from featlearn.theory.laws import BOUNDARIES, LAWS, SETTINGS, Law
from featlearn.theory.noisy_gradients import mean_norm, mean_unit, mean_unit_slope, response
from featlearn.theory.oscillation import (
    LOSS_OF_FILTERS,
    oscillation_boundary,
    oscillation_conditions,
    oscillation_rate,
)
from featlearn.theory.saddles import (
    hallucinated_multiplier,
    hallucinated_points,
    kim_variance,
    noisy_sam_radius,
    saddle_variance,
    sam_basin,
    sam_confinement,
    sam_saddle_curvature,
    usam_escape_rate,
    usam_saddle_radius,
    usam_traps,
)
from featlearn.theory.scales import init_std, sam_epochs, sam_radius, snr
from featlearn.theory.stationary import (
    dnsam_log_density,
    dnsam_ring,
    dnsam_rule_ring,
    dnsam_truncated_ring,
    sam_variance,
    usam_loss,
    usam_rule_variance,
    usam_truncated_variance,
    usam_variance,
)

__all__ = [
    "BOUNDARIES",
    "EDGES",
    "LAWS",
    "LOSS_OF_FILTERS",
    "SETTINGS",
    "Law",
    "dnsam_log_density",
    "dnsam_ring",
    "dnsam_rule_ring",
    "dnsam_truncated_ring",
    "escape_steps",
    "hallucinated_multiplier",
    "hallucinated_points",
    "init_std",
    "kim_variance",
    "margins_boundary",
    "margins_conditions",
    "mean_norm",
    "mean_unit",
    "mean_unit_slope",
    "multi_view_boundary",
    "multi_view_conditions",
    "noisy_sam_radius",
    "oscillation_boundary",
    "oscillation_conditions",
    "oscillation_rate",
    "power_boundary",
    "response",
    "saddle_variance",
    "sam_basin",
    "sam_boundary",
    "sam_confinement",
    "sam_edge",
    "sam_epochs",
    "sam_radius",
    "sam_saddle_curvature",
    "sam_variance",
    "sgd_boundary",
    "snr",
    "spurious_boundary",
    "spurious_conditions",
    "stability_edge",
    "usam_edge",
    "usam_escape_rate",
    "usam_loss",
    "usam_rule_variance",
    "usam_saddle_radius",
    "usam_traps",
    "usam_truncated_variance",
    "usam_variance",
]

"""Figures: `f(table, ..., ax=None)` returns the Axes; a kind draws a whole figure from a store's rows.

A figure computes no dynamics and changes no global setting. `KINDS[name](rows, options)` returns the
figure and the table that it shows; `save` writes both. Options are the keyword arguments of the kind's
`*_figure`; None leaves one out.
"""

from featlearn.plots.boundary import boundary, boundary_figure
from featlearn.plots.compare import compare, compare_figure
from featlearn.plots.curve import curve, curve_figure
from featlearn.plots.difference import difference, difference_figure
from featlearn.plots.dynamics import dynamics, dynamics_figure
from featlearn.plots.edge import edge, edge_figure
from featlearn.plots.files import check_output, save
from featlearn.plots.kinds import KINDS
from featlearn.plots.phase import phase_diagram, phase_figure
from featlearn.plots.style import paper

__all__ = [
    "KINDS",
    "boundary",
    "boundary_figure",
    "check_output",
    "compare",
    "compare_figure",
    "curve",
    "curve_figure",
    "difference",
    "difference_figure",
    "dynamics",
    "dynamics_figure",
    "edge",
    "edge_figure",
    "paper",
    "phase_diagram",
    "phase_figure",
    "save",
]

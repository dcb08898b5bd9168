"""YAML to runs: ``load_config`` reads, checks and expands a config.

``reference``, ``describe`` and ``schema`` describe what a config may contain.

source.py: text to nodes with file and line. files.py: ``extends`` and ``--set``. parameters.py, sections.py: the valid
keys, read from the classes. parsed.py: one section. resolve.py: one run. axes.py, grid.py: the sweep. sweep.py: the
whole.
"""

from featlearn.config.catalogue import Entry, describe
from featlearn.config.problems import ConfigError, ConfigWarning, Problem
from featlearn.config.reference import Key, reference
from featlearn.config.schema import schema
from featlearn.config.sweep import SweepConfig, load_config

__all__ = [
    "ConfigError",
    "ConfigWarning",
    "Entry",
    "Key",
    "Problem",
    "SweepConfig",
    "describe",
    "load_config",
    "reference",
    "schema",
]

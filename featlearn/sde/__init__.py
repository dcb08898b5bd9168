"""The continuous limits of the update rules: flows, SDEs and their integrators."""

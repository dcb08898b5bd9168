"""Activations and losses."""

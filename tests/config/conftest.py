"""A valid config, to be changed in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featlearn.config import ConfigError, SweepConfig, load_config

BASE = """
data: {n_samples: 20, dim: 1000, signal_norm: 5.0}
network: {n_filters: 10, init_std: 0.001}
optimizer: {name: sam, lr: 0.01, rho: 0.03}
train: {n_steps: 100}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a config into an empty working folder, and return its relative path."""
    monkeypatch.chdir(tmp_path)

    def to_file(text: str | bytes = BASE, name: str = "x.yaml") -> Path:
        data = text.encode() if isinstance(text, str) else text
        Path(name).write_bytes(data)
        return Path(name)

    return to_file


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., SweepConfig]:
    """Load the base config with text appended, or keys set."""

    def loaded(more: str = "", *, set: Any = (), base: str = BASE) -> SweepConfig:
        return load_config(write(base + more), set=set)

    return loaded


@pytest.fixture
def problems(load: Callable[..., SweepConfig]) -> Callable[..., list[str]]:
    """Load an invalid config, and return its problems, line by line."""

    def messages(*args: Any, **kwargs: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **kwargs)
        return str(caught.value).splitlines()

    return messages

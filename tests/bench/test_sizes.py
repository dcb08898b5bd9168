"""Sizes of blocks are changed within a context only."""

import pytest

from featlearn import simulation
from featlearn.bench.sizes import block_size


def test_the_default_block_is_put_back():
    before = {device: dict(sizes) for device, sizes in simulation.LANES.items()}
    with pytest.raises(ZeroDivisionError), block_size(3, "cpu"):
        assert simulation.LANES["cpu"]["gram"] == 3
        _ = 1 / 0
    assert before == simulation.LANES

import pytest

from featlearn.config import load_config
from featlearn.explore.query import read
from featlearn.explore.server import beginning, listening


def test_only_the_loopback_address_is_listened_at_and_a_port_in_use_is_said():
    with listening(0) as listener:
        address, port = listener.getsockname()
        assert address == "127.0.0.1"
        with pytest.raises(ValueError, match=f"port {port} is in use: choose another by --port"):
            listening(port)


def test_a_config_is_what_the_page_starts_from():
    config = load_config("configs/quickstart.yaml")
    start = beginning(config)
    assert start[""]["name"] == "quickstart" and start["network"]["bias"] is True
    assert load_config(read([], start).dynamics()).base_run().optimizer == config.base_run().optimizer


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="explore shows networks on patches"):
        beginning(load_config("configs/regularization_quadratic.yaml"))

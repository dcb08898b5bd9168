"""Sizes depend on the device; a quick setting has few sizes and two rounds."""

import pytest

from featlearn.bench.setting import Setting


@pytest.mark.parametrize(("available", "million"), [(False, 10_240), (True, 10**6)])
def test_a_setting_suits_its_device(available, million, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    full, quick = Setting.on("auto"), Setting.on("auto", quick=True)
    assert (full.device, full.million) == ("cuda" if available else "cpu", million)
    assert quick == full.shortened() and quick.repeats == 2 and quick.million == million // 20
    assert {*quick.dims} <= {*full.dims} and {*quick.blocks} < {*full.blocks} and {*quick.against} < {*full.against}

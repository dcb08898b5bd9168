"""Numbers are read as the latest sweep gives them."""

from dataclasses import replace

import pandas as pd
from helpers import make_run
from stores import filled, trajectory

from featlearn.store import Store, load, summary


def test_rows_are_read_in_the_words_of_the_latest_sweep(tmp_path):
    """Three runs by their numbers, then asked for by snr and {theory: c}, then by their numbers again."""
    snrs, path = [0.01, 0.031, 0.11], tmp_path / "s"
    by_snr = [make_run(data__dim=1821, data__signal_norm=None, data__snr=snr) for snr in snrs]
    by_snr = [replace(run, theory=(("network.init_std", 2.0),)) for run in by_snr]
    plain = [trajectory(0, data__dim=1821, data__signal_norm=run.data.strength) for run in by_snr]
    assert [t.run.run_id for t in plain] == [run.run_id for run in by_snr]
    assert [t.run.columns()["data.snr"] for t in plain] != snrs
    filled(path, plain)
    assert [*summary(path)["data.snr"]] != snrs
    for runs, c in ((by_snr, 2.0), ([t.run for t in plain], None), (by_snr[::-1], 2.0)):
        words = [run.given for run in runs]
        given = {name: [each.get(name) for each in words] for name in words[0]}
        Store.open(path).add_plan([run.run_id for run in runs], "{}", given)
        last, everything = summary(path), load(path, all_sweeps=True)
        assert [*last["data.snr"]] == [run.columns()["data.snr"] for run in runs]
        assert {*everything["data.snr"]} == {*last["data.snr"]}
        theory = last.get("network.init_std.theory", pd.Series([None] * 3))
        assert theory.isna().all() if c is None else (theory == c).all()
        assert [*last["data.signal_norm"]] == [run.data.strength for run in runs]
    Store.open(path).add_plan([run.run_id for run in by_snr], "{}")  # as it was written before
    assert [*summary(path)["data.snr"]] == [t.run.columns()["data.snr"] for t in plain]

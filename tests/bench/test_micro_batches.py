"""The cost of mSAM: every even split of a batch is timed together with SAM."""

from featlearn.bench import Setting
from featlearn.bench.micro_batches import by_shards
from featlearn.bench.text import report_text


def test_every_even_split_is_timed_in_both_engines():
    rows = by_shards(Setting(repeats=1, n_steps=1))
    found = [(row["engine"], row["batch_size"], row["n_shards"]) for row in rows]
    splits = [(20, s) for s in (1, 2, 4, 5, 10, 20)] + [(10, s) for s in (1, 2, 5, 10)]
    assert found == [(engine, *split) for engine in ("gram", "weights") for split in splits]
    assert all(row["ratio"]["median"] > 0 and row["step_seconds"]["median"] > 0 for row in rows)
    machine = {name: "-" for name in ("featlearn", "torch", "numpy", "numba", "python", "date", "processor", "cores")}
    text = report_text(
        {"machine": {**machine, "gpu": None, "load": 0.0}, "setting": {"device": "cpu"}, "n_shards": rows}
    )
    assert "| weights | 10    | 10            |" in text

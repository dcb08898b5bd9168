"""A wrong call is refused before anything is computed or written."""

import pytest
from fakes import FakeConfig
from joblib import cpu_count

from featlearn.sweeps import SweepError, sweep
from featlearn.sweeps.checks import checked_jobs, device_name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": "0/3"}, "i/n"),
        ({"shard": "4/3"}, "i/n"),
        ({"shard": "half"}, "i/n"),
        ({"n_jobs": 0}, "at least 1"),
        ({"time_limit": 0}, "a number of seconds > 0"),
        ({"time_limit": float("inf")}, "at most 1e"),
        ({"retry": "all"}, "retry is failed, or not given; found 'all'"),
        ({"device": "tpu"}, "auto, cpu or cuda"),
        ({"backend": "ray"}, "ray"),
        ({"scheduler": "tcp://here"}, "needs the backend dask"),
        ({"set": ["seed=1"]}, "load_config"),
    ],
)
def test_a_wrong_call_writes_nothing(tmp_path, options, message):
    with pytest.raises((SweepError, ValueError), match=message):
        sweep(FakeConfig((1,)), tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_cuda_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SweepError, match="no CUDA device"):
        sweep(FakeConfig((1,)), tmp_path / "s", device="cuda")
    assert not (tmp_path / "s").exists()


def test_jobs_are_those_asked_for_all_cores_or_one_for_a_gpu():
    assert (checked_jobs(3, "cpu"), checked_jobs(-1, "cpu"), checked_jobs(3, "cuda")) == (3, cpu_count(), 1)
    for n_jobs in (0, -2):
        with pytest.raises(SweepError, match=f"at least 1, or -1 for one per core; found {n_jobs}"):
            checked_jobs(n_jobs, "cpu")


def test_provenance_names_the_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "mock device")
    assert (device_name("cpu"), device_name("cuda")) == ("cpu", "cuda: mock device")

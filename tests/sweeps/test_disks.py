"""A disk that is full, or can only be read: nothing is torn, a message says so, and later the same call goes on."""

import shutil
import subprocess

import pandas as pd
import pytest
from fakes import FakeConfig, quiet
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.store import Store, StoreError, status
from featlearn.sweeps import commits

CONFIG = FakeConfig(tuple(range(100, 140)))


def mount(*words):
    return subprocess.run(["mount", *map(str, words)], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """A file system of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or not mount("-t", "tmpfs", "-o", "size=400k", "featlearn-test", place):
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.usefixtures("fake")
def test_a_full_disk_ends_the_sweep_with_what_is_written_and_the_same_call_goes_on(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(commits, "COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(commits, "COMMIT_SHARE", 0.0)
    quiet(CONFIG, tmp_path / "whole")
    (disk / "others").write_bytes(b"x" * 330_000)
    with pytest.raises(StoreError, match=r"cannot write to .*parts: No space left on device"):
        quiet(CONFIG, disk / "s")
    found = status(disk / "s")
    assert 0 < found.done < 40 and found.damaged == () and found.done == len(fl.summary(disk / "s"))
    names = {path.name for path in (disk / "s").rglob("*")}
    assert not any(name.startswith(".tmp-") for name in names) and "claims" not in names
    (disk / "others").unlink()
    report = quiet(CONFIG, disk / "s")
    assert (report.reused, report.done) == (found.done, 40 - found.done)
    pd.testing.assert_frame_equal(fl.load(disk / "s"), fl.load(tmp_path / "whole"), check_exact=True)


@pytest.mark.usefixtures("fake")
def test_a_store_that_can_only_be_read_is_read_and_not_swept_into(disk):
    quiet(CONFIG, disk / "s")
    before = fl.load(disk / "s")
    assert mount("-o", "remount,ro", disk)
    for config in (CONFIG, FakeConfig((1, 2))):
        with pytest.raises(StoreError, match=r"cannot write to .*: Read-only file system"):
            quiet(config, disk / "s")
    with pytest.raises(StoreError, match="Read-only file system"):
        Store.create(disk / "new", "fake")
    pd.testing.assert_frame_equal(fl.load(disk / "s"), before, check_exact=True)
    assert CliRunner().invoke(app, ["status", str(disk / "s")]).exit_code == 0
    refused = CliRunner().invoke(app, ["compact", str(disk / "s")])
    assert refused.exit_code == 2 and "Read-only file system" in refused.output

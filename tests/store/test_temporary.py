"""Files that killed processes leave are removed; a live one's are not."""

import os
import signal
import subprocess
import sys
import time

import pytest
from stores import filled, trajectory

from featlearn.store import Store, summary
from featlearn.store.temporary import NAME, remove_left_over, temporary_name

WRITER = """
import sys, time
from pathlib import Path
from featlearn.store.files import write_file

def write(file):
    file.write(b"half of it")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)

write_file(Path(sys.argv[1]) / "parts", write)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_what_a_killed_process_leaves_is_removed_and_a_live_one_keeps_its_file(tmp_path):
    store = filled(tmp_path / "s", [trajectory(0)])
    process = subprocess.Popen([sys.executable, "-c", WRITER, store.path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    (file,) = store.path.glob("parts/.tmp-*")
    assert NAME.fullmatch(file.name)[2] == str(process.pid)
    assert store.remove_left_over() == [] and file.exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert file.exists() and summary(store.path)["seed"].tolist() == [0]
    assert Store.open(store.path).remove_left_over() == [file] and not file.exists()


def test_a_file_of_another_machine_or_version_is_removed_after_an_hour(tmp_path):
    names = [f".tmp-{'0' * 8}-1-{'a' * 32}", f".tmp-{'a' * 32}", ".tmp-odd"]
    for age, kept in ((60, names), (7200, [])):
        for name in names:
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (time.time() - age,) * 2)
        removed = remove_left_over([tmp_path, tmp_path / "missing"])
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
        assert len(removed) == 3 - len(kept)


def test_names_differ_and_do_not_tell_the_machine(monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "secret")
    assert temporary_name() != temporary_name() and "secret" not in temporary_name()

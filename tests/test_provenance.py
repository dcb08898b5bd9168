"""Provenance: versions, device and revision; sources sorted; nothing of the machine or its user."""

import getpass
import json
import platform
import subprocess

import torch

from featlearn.custom import Source
from featlearn.provenance import PACKAGES, git_revision, provenance


def test_versions_device_and_sources_stand_in_it_and_no_name_of_a_machine_or_user():
    sources = [Source("b", "two"), Source("b", "one"), Source("a", "three")]
    found = provenance("cuda: mock device", sources)
    assert found["torch"] == torch.__version__ and found["python"] == platform.python_version()
    assert found["device"] == "cuda: mock device" and all(found[package] for package in PACKAGES)
    own = [{"name": source.name, "digest": source.digest, "text": source.text} for source in sources]
    assert found["own"] == sorted(own, key=lambda one: (one["name"], one["digest"]))
    words = set(json.dumps(found).replace('"', " ").split())
    assert not words & {platform.node(), getpass.getuser()}


def test_the_revision_is_that_of_the_working_folder_and_marks_changed_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert git_revision() is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    clean = git_revision()
    assert len(clean["revision"]) == 40 and clean["dirty"] is False
    (tmp_path / "new").touch()
    assert git_revision() == {**clean, "dirty": True}


def test_without_git_there_is_no_revision(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision() is None

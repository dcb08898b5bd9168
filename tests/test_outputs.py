"""Output files: what is in the way of one. Figures: plots/test_files.py; exports: test_export.py."""

import pytest

from featlearn.outputs import clear, refuse_overwriting


def test_only_what_is_ours_is_overwritten(tmp_path):
    path = tmp_path / "a.txt"
    refuse_overwriting(path, "figure", lambda content: False)  # nothing is there
    path.write_bytes(b"theirs")
    refuse_overwriting(path, "figure", lambda content: content == b"theirs")
    with pytest.raises(ValueError, match=r"a\.txt exists, and is no figure of featlearn: give another name, or force"):
        refuse_overwriting(path, "figure", lambda content: False)


def test_links_and_folders_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    for name in ("link", "broken"):
        with pytest.raises(ValueError, match="is a link: give another name, or force"):
            refuse_overwriting(tmp_path / name, "figure", lambda content: True)
        clear(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_bytes() == b"theirs"
    with pytest.raises(ValueError, match="is no file: give another name"):
        refuse_overwriting(tmp_path, "figure", lambda content: True)

"""One small store for all tests of reports."""

import pytest
from small_report import small_store
from stores import damaged

from featlearn.reports.layout import layout
from featlearn.reports.sources import read


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with the store, and a damaged file in it."""
    path = tmp_path_factory.mktemp("reports") / "small"
    small_store(path)
    damaged("an empty file")(path)
    return path


@pytest.fixture(scope="session")
def source(folder):
    return read(folder)


@pytest.fixture(scope="session")
def plan(source):
    return layout(source.last)

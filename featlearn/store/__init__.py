"""A store: a folder of immutable Parquet files with one row per run. It does not depend on how runs are computed."""

from featlearn.store.arrow import load_arrow
from featlearn.store.columns import concat
from featlearn.store.files import StoreError, StoreWarning
from featlearn.store.folder import Store
from featlearn.store.frames import load, summary
from featlearn.store.merging import merge
from featlearn.store.rows import failed_rows, rows
from featlearn.store.status import StoreStatus, status

__all__ = [
    "Store",
    "StoreError",
    "StoreStatus",
    "StoreWarning",
    "concat",
    "failed_rows",
    "load",
    "load_arrow",
    "merge",
    "rows",
    "status",
    "summary",
]

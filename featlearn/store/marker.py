"""The marker of a store, featlearn.json: schema version, name, time of creation, and a checksum of these.

A folder that has lost its marker, or has a broken one, is still recognised by its plans and parts.
"""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from featlearn.store.contents import read_part, read_plan
from featlearn.store.files import Damage, StoreError, write_file
from featlearn.store.listing import PARTS, PLANS, entries
from featlearn.types import SCHEMA_VERSION

MARKER = "featlearn.json"
MISSING, BROKEN = "it is missing", "it is broken"


def check_marker(path: Path) -> str | None:
    """Return what is wrong with the marker of a store, None if nothing is.

    Raises StoreError if there is no store at ``path``, or one of another version.
    """
    try:
        schema = _read(json.loads((path / MARKER).read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        if not path.exists():
            raise StoreError(f"no store at {path}") from None
        if not is_recognised(path):
            raise StoreError(f"{path} is not a featlearn store: it has no {MARKER}") from None
        return MISSING
    except OSError as error:
        raise StoreError(f"cannot read the store {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        if not is_recognised(path):
            raise StoreError(f"{path / MARKER} is not the marker of a featlearn store") from None
        return BROKEN
    if schema != SCHEMA_VERSION:
        raise StoreError(f"{path} has schema version {schema}, this featlearn reads and writes {SCHEMA_VERSION}")
    return None


def write_marker(path: Path, name: str) -> None:
    """Write the marker of a store."""
    marker = {"schema": SCHEMA_VERSION, "name": name, "created": datetime.now(UTC).isoformat()}
    text = json.dumps({**marker, "crc32": _sum(marker)}, indent=2)
    write_file(path, lambda file: (file.write(text.encode()), MARKER)[1])


def is_recognised(path: Path) -> bool:
    """Whether a folder has a plan or a part of a store of this version."""
    for kind, read in ((PLANS, read_plan), (PARTS, read_part)):
        for entry in entries(path, kind)[0]:
            try:
                read(entry)
            except (Damage, FileNotFoundError):
                continue
            return True
    return False


def _read(marker: dict[str, Any]) -> Any:
    """Return the schema version. Raises ValueError, KeyError or TypeError for what is no marker."""
    found = marker.pop("crc32", None)  # older versions wrote none
    if found not in (None, _sum(marker)):
        raise ValueError
    return marker["schema"]


def _sum(marker: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(marker, sort_keys=True).encode())

"""The modules of a package that a module imports, directly or not, and their texts.

Import statements are parsed, not executed, so the result does not depend on what a process has imported. Statements
inside functions count. Imports by a name computed at run time are not found.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, resolve_name
from pathlib import Path


@dataclass(frozen=True)
class Text:
    """The text of a module; for a compiled one, a line with the hash of its file. path: of its file, if any."""

    text: str
    path: str | None


def reachable_modules(module: str) -> dict[str, Text]:
    """Return the modules of its own package that ``module`` imports, by name: itself first, then the others sorted.

    Parent packages, which Python runs as well, are included. Empty if the module cannot be read.
    """
    found: dict[str, Text] = {}
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        spec = _spec(name)
        text = spec and _text(spec)
        if spec and text:
            found[name] = text
            waiting += [*_above(name), *_imported(text.text, spec, name)]
    others = sorted(found.keys() - {module})
    return {name: found[name] for name in [module, *others]} if module in found else {}


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except Exception:  # finding a module imports its package, which may raise anything
        return None


def _text(spec: ModuleSpec) -> Text | None:
    """Return the text of a module, None if it is not available."""
    path = spec.origin if spec.has_location else None
    get_source = getattr(spec.loader, "get_source", None)
    try:
        source: str | None = get_source(spec.name) if get_source else None
    except (ImportError, SyntaxError, UnicodeDecodeError):
        return None
    if source is None and path and Path(path).is_file():
        source = f"# compiled, sha256 {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    return None if source is None else Text(source, path)


def _above(name: str) -> Iterator[str]:
    """Yield the parent packages of a module."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imported(text: str, spec: ModuleSpec, module: str) -> Iterator[str]:
    """Yield the names that a text imports from its own package: modules, or names that may be modules."""
    package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
    for name in _names(text, package):
        if name.partition(".")[0] == module.partition(".")[0]:
            yield from (name, *_above(name))


def _names(text: str, package: str) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue  # beyond the top-level package: Python refuses it too
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))

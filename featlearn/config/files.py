"""Merges a file, the files that it extends and the settings of a call into one tree of nodes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path, PurePath
from typing import Any

from featlearn.config.parsed import as_mapping, read_section
from featlearn.config.problems import ConfigError, Problem, show
from featlearn.config.sections import SECTIONS, Section
from featlearn.config.source import DEEPEST, Node, read_text, read_yaml

Settings = Mapping[str, Any] | Iterable[str]


def read_file(path: Path, problems: list[Problem], chain: tuple[Path, ...] = ()) -> Node:
    """Read a config and what it extends; ``chain`` holds the files that extend it.

    A name is not inherited by the files that extend it. Raises ConfigError if a file is unreadable.
    """
    root = read_yaml(read_text(path), str(path), problems=problems)
    if root is None:
        raise ConfigError([*problems, Problem(str(path), "", "the file is empty")])
    if not isinstance(root.value, dict):
        found = "text" if isinstance(root.value, str) else show(root.plain)  # which may be of no config at all
        raise ConfigError([*problems, root.problem(f"expected a mapping of keys, found {found}")])
    return _completed(root, path.parent, problems, (*chain, path))


def read_mapping(content: Mapping[str, Any], problems: list[Problem]) -> Node:
    """Read a config given as a Python mapping; what it extends is relative to the working directory."""
    return _completed(node_of(content, "", ""), Path(), problems, ())


def _completed(root: Node, folder: Path, problems: list[Problem], chain: tuple[Path, ...]) -> Node:
    """Return a config merged into what it extends; ``folder`` is its folder."""
    child = _expand_words(replace(root, value={key: node for key, node in root.value.items() if key != "extends"}))
    if "extends" not in root.value:
        return child
    parent = read_file(_extended(root, folder, chain), problems, chain)
    inherited = {key: node for key, node in parent.value.items() if key != "name"}
    return merge(replace(parent, value=inherited), child, problems)


def _expand_words(tree: Node) -> Node:
    """Return the tree with sections given as a single word turned into mappings, so that keys can be added."""
    words = {key: node for key, node in tree.value.items() if key in SECTIONS and isinstance(node.value, str)}
    return replace(tree, value={**tree.value, **{key: as_mapping(SECTIONS[key], words[key]) for key in words}})


def _extended(root: Node, folder: Path, chain: Sequence[Path]) -> Path:
    """Return the file that ``root``, the last of the chain, extends; its name is relative to ``folder``."""
    name = root.value["extends"].plain
    if not isinstance(name, str):
        raise ConfigError([root.problem(f"expected the name of a file, found {show(name)}", "extends")])
    target = folder / name
    if not os.path.isfile(target):
        raise ConfigError([root.problem(f"no such file: {target}", "extends")])
    if any(os.path.samefile(target, link) for link in chain):
        circle = " -> ".join(str(link) for link in (*chain, target))
        raise ConfigError([root.problem(f"circular: {circle}", "extends")])
    return target


def merge(parent: Node, child: Node, problems: list[Problem]) -> Node:
    """Return the parent with the keys of the child: sections are merged key by key, deeper values replaced as a whole.

    A section of another kind (data.model, optimizer.name) replaces the parent's. A blank key keeps the inherited
    value; null removes it.
    """
    merged = dict(parent.value)
    for name, node in child.value.items():
        old = merged.get(name)
        if old is not None and _same_kind(name, old, node):
            if name == "sweep":
                _warn_dropped_zip(old, node, problems)
            node = replace(node, value={**old.value, **_nonblank(node, old)})
        merged |= _nonblank(Node({name: node}, node.place), parent)
    return replace(child, value=merged)


def _nonblank(child: Node, parent: Node) -> dict[str, Node]:
    """Return the keys of a child without the blank ones that the parent has."""
    return {key: node for key, node in child.value.items() if not (node.blank and key in parent.value)}


def _warn_dropped_zip(parent: Node, child: Node, problems: list[Problem]) -> None:
    """Warn if the zip of a child drops keys of the parent's zip."""
    old, new = parent.value.get("zip"), child.value.get("zip")
    if old is None or old.value is None or new is None or new.value is None:
        return
    lost = [key for key in _zipped(old) if key not in (*_zipped(new), *child.value)]
    if lost:
        what = f"replaces the zip at {old.place}: {', '.join(lost)} are no longer swept"
        problems.append(
            replace(new.problem(f"{what}; list both mappings to keep them, or null to drop it"), caution=True)
        )


def _zipped(node: Node) -> list[str]:
    """Return the keys of a zip, or of a list of them."""
    items = node.value if isinstance(node.value, list) else [node]
    return [key for item in items if isinstance(item.value, dict) for key in item.value]


def _same_kind(name: str, old: Node, new: Node) -> bool:
    """Whether both are sections of one kind: the new one names no kind, or the same."""
    if not (isinstance(old.value, dict) and isinstance(new.value, dict)):
        return False
    section = SECTIONS.get(name)
    if section is None or section.word not in new.value:
        return True
    named = old.value[section.word].plain if section.word in old.value else section.default
    return bool(new.value[section.word].plain == named)


def apply_settings(tree: Node, settings: Settings, problems: list[Problem]) -> Node:
    """Return the tree with the settings of a call: a mapping of dotted keys, or texts "key=value" in YAML."""
    for key, node in _settings(settings, problems):
        if key.count(".") >= DEEPEST:
            problems.append(Problem("--set", key, f"a key has at most {DEEPEST} parts"))
            continue
        if key == "extends":
            problems.append(node.problem("is allowed in a file only"))
            continue
        tree = _expand_words(put(tree, path_of(key), node))
        if "sweep" in tree.value and path_of(key)[0] != "sweep":
            tree = put(tree, ("sweep",), fix(tree.value["sweep"], key, node))
    return tree


def _settings(settings: Settings, problems: list[Problem]) -> Iterable[tuple[str, Node]]:
    if isinstance(settings, Mapping):
        yield from ((str(key), node_of(value, str(key))) for key, value in settings.items())
        return
    for text in [settings] if isinstance(settings, str) else settings:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            problems.append(Problem("--set", text, "expected key=value"))
            continue
        try:
            yield key, read_yaml(value, "--set", key, problems) or Node(None, "--set", key)
        except ConfigError as error:
            problems += error.problems


def node_of(value: Any, key: str, place: str = "--set", depth: int = 0) -> Node:
    """Return a Python value as a node; arrays and ranges become lists, a path becomes text.

    Raises ConfigError if it is nested too deeply, as a list inside itself is.
    """
    if depth >= DEEPEST:
        raise ConfigError([Problem(place, key.partition("[")[0], "nested too deeply")])
    if isinstance(value, Mapping):
        inside = {str(k): v for k, v in value.items()}
        return Node(
            {k: node_of(v, f"{key}.{k}" if key else k, place, depth + 1) for k, v in inside.items()}, place, key
        )
    if hasattr(value, "tolist"):
        value = value.tolist()  # numpy and pandas arrays, numpy scalars
    if isinstance(value, list | tuple | range):
        return Node([node_of(v, f"{key}[{i}]", place, depth + 1) for i, v in enumerate(value)], place, key)
    if isinstance(value, PurePath):
        return Node(str(value), place, key)
    if isinstance(value, Real) and not isinstance(value, bool):
        return Node(int(value) if isinstance(value, Integral) else float(value), place, key)
    return Node(value, place, key)


def path_of(key: str) -> tuple[str, ...]:
    """Return the path of a dotted key; below ``sweep`` an axis is one key, dots included."""
    head, _, rest = key.partition(".")
    return (head, rest) if head == "sweep" and rest else tuple(key.split("."))


def put(tree: Node, path: Sequence[str], node: Node) -> Node:
    """Return the tree with ``node`` at ``path``; missing parents are created."""
    if not path:
        return node
    mapping = isinstance(tree.value, dict)
    children = tree.value if mapping else {}
    child = children.get(path[0], Node({}, node.place, tree.child_key(path[0])))
    return Node({**children, path[0]: put(child, path[1:], node)}, (tree if mapping else node).place, tree.key)


def fix(sweep: Node, key: str, node: Node) -> Node:
    """Return the axes of a sweep after ``key`` was set: the key is no longer swept.

    If an axis lists whole sections, the key is set in each whose kind has it.
    """
    if isinstance(sweep.value, list):
        return replace(sweep, value=[fix(item, key, node) for item in sweep.value])
    if not isinstance(sweep.value, dict):
        return sweep
    axes: dict[str, Node] = {}
    for name, axis in sweep.value.items():
        if name == "zip":
            axes[name] = fix(axis, key, node)
        elif name in SECTIONS and key.startswith(f"{name}."):
            axes[name] = _fix_sections(axis, SECTIONS[name], key.split(".")[1:], node)
        elif not (name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")):
            axes[name] = axis
    return replace(sweep, value=axes)


def _fix_sections(axis: Node, section: Section, path: Sequence[str], node: Node) -> Node:
    if not isinstance(axis.value, list):
        return axis
    parsed = [read_section(section, item) for item in axis.value]
    items = [put(p.node, path, node) if p.kind and path[0] in p.kind.keys else p.node for p in parsed]
    return replace(axis, value=items)

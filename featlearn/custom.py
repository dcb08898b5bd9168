"""User-defined classes, named ``file.py:Class`` or ``package.module:Class`` in place of a built-in word.

A file runs once for each version of its text, as a module named by a hash of that text: an edited file has classes
distinct from the old ones, here and in the processes to which the text is sent.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import tokenize
import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from featlearn.imports import reachable_modules

# of user code: all but an interruption
FAILURES: tuple[type[BaseException], ...] = (Exception, SystemExit, GeneratorExit)
LONGEST = 500  # characters of an error's text in a message


class CustomError(ValueError):
    """A class that cannot be loaded; the message gives the reason, with file and line if known."""


@dataclass(frozen=True)
class Source:
    """The source of a class: its name, ``file.py:Class`` or ``package.module:Class``, and the text of its file.

    For a module of a package, the text of the modules of the package that it imports, directly or not, follows (see
    imports.py); then, in both cases, the files of base classes elsewhere, except featlearn's and Python's. Each has its
    name as a heading. Other modules, and files that are read, are not included.
    """

    name: str
    text: str

    @property
    def digest(self) -> str:
        """Hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class File:
    """The text of a file; unpickling it makes its module importable."""

    path: str
    text: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _note, (self.path, self.text)


_FILES: dict[str, File] = {}  # by module name
_OWN_PATHS: set[str] = set()  # files of the modules with user-defined classes


def _note(path: str, text: str) -> str:
    """Register a file; return the name under which it can be imported."""
    if _IMPORTER not in sys.meta_path:
        sys.meta_path.append(_IMPORTER)
    name = f"featlearn_own_{hashlib.sha256(f'{path}:{text}'.encode()).hexdigest()[:16]}"
    _FILES[name] = File(path, text)
    return name


def is_own(word: Any) -> bool:
    """Whether a word names a user-defined class."""
    return isinstance(word, str) and ":" in word


def find_class(word: str, folder: Path) -> type:
    """Return the class that a word names; a file lies in ``folder`` or below. Raises CustomError.

    A file elsewhere is refused: a config that comes from somebody else runs no other code of this machine.
    """
    where, _, name = word.rpartition(":")
    if where.endswith(".py") and (Path(where).is_absolute() or ".." in Path(where).parts):
        raise CustomError(f"{word}: code of your own lies beside the config that names it, or in a folder below")
    module = _read(folder / where) if where.endswith(".py") else _import(where)
    found = vars(module).get(name)
    if isinstance(found, type):
        return found
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    there = [cls.__name__ for cls in classes if cls.__module__ == module.__name__]
    raise CustomError(f"{where} has no class {name!r}; it has {', '.join(there) or 'no class at all'}")


def _read(path: Path) -> ModuleType:
    try:
        with tokenize.open(path) as file:  # in the encoding that Python would use
            text = file.read()
    except OSError as error:
        raise CustomError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, SyntaxError):
        raise CustomError(f"cannot read {path}: not UTF-8 text") from None
    try:
        return importlib.import_module(_note(str(path), text))
    except SyntaxError as error:
        raise CustomError(f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a type of its own
        raise CustomError(f"{_innermost(error, {str(path)})}: {told(error)}") from None


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise CustomError(f"there is no module {name!r}; a file is named as in my_rules.py:MySAM") from None
        raise CustomError(f"cannot import {name}: {error}") from None
    except FAILURES as error:
        raise CustomError(f"cannot import {name}: {told(error)}") from None


class _Importer(MetaPathFinder, Loader):
    """Lets Python import registered files under their module names."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a file by its name."""
        return ModuleSpec(fullname, self, origin=_FILES[fullname].path) if fullname in _FILES else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the text."""
        file = _FILES[module.__name__]
        exec(compile(file.text, file.path, "exec", dont_inherit=True), vars(module))


_IMPORTER = _Importer()


def told(error: BaseException) -> str:
    """Return the type and text of an error of user code, whose text may be long, or raise in its turn."""
    try:
        text = " ".join(str(error).split())
    except FAILURES:
        text = "it has no text"
    kept = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    return f"{type(error).__name__}: {kept}"


def raised_at(error: BaseException) -> str | None:
    """Return "file:line" of the innermost line of a user's file in a traceback; None if there is none."""
    return _innermost(error, {file.path for file in _FILES.values()})


def _innermost(error: BaseException, paths: Collection[str]) -> str | None:
    lines = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__) if f.filename in paths]
    return lines[-1] if lines else None


@cache
def source_of(cls: type) -> Source:
    """Return the source of a class. Raises CustomError if it cannot be found."""
    file = _FILES.get(cls.__module__)
    package = {} if file or _versioned(cls) else reachable_modules(cls.__module__)
    _OWN_PATHS.update(module.path for module in package.values() if module.path)
    ancestors = [a for a in cls.__mro__ if a.__module__ not in package and not _versioned(a)]
    named = [(name, module.text) for name, module in package.items()]
    named += dict.fromkeys((ancestor.__module__, _text(ancestor)) for ancestor in ancestors)
    texts = [text if i == 0 else f"# {name}\n{text}" for i, (name, text) in enumerate(named)]
    home = Path(file.path).name if file else cls.__module__
    return Source(f"{home}:{cls.__qualname__}", "\n".join(texts))


def is_own_file(path: str) -> bool:
    """Whether a file is user code: named by a config, or in a package of a user-defined class."""
    return path in _OWN_PATHS or any(path == file.path for file in _FILES.values())


def _versioned(cls: type) -> bool:
    """Whether a class belongs to Python or featlearn, so that version numbers identify it."""
    package = cls.__module__.partition(".")[0]
    return package == "featlearn" or (package in sys.stdlib_module_names and package != "__main__")


def _text(cls: type) -> str:
    if cls.__module__ in _FILES:
        return _FILES[cls.__module__].text
    for part in (sys.modules[cls.__module__], cls):  # a notebook has no file, but its classes have a source
        try:
            return inspect.getsource(part)
        except (OSError, TypeError):
            continue
    raise CustomError(f"the source of {cls.__qualname__} cannot be found: a run is identified by it; use a file")


@dataclass(frozen=True)
class Parcel:
    """Content sent to another process together with the user's files; unpickling returns the content.

    The files come first: the content may have objects of their classes.
    """

    content: Any

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (tuple(_OWN_PATHS), *_FILES.values(), self.content)


def _unpacked(paths: tuple[str, ...], *parts: Any) -> Any:
    _OWN_PATHS.update(paths)
    return parts[-1]


def sources(*parts: Any) -> Iterator[Source]:
    """Yield the sources of the user-defined classes among those of the objects and of their fields."""
    for part in parts:
        if is_dataclass(part) and not isinstance(part, type):
            yield from () if _versioned(type(part)) else (source_of(type(part)),)
            yield from sources(*[getattr(part, field.name) for field in fields(part)])

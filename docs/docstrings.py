"""How docstrings become Markdown: "name: meaning", as a line or a sentence, is an item of a list; no sign is HTML."""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Docstring, Extension, Object

NAME = r"[a-z_][\w.]*(?:&lt;\w+>)?(?: \[[\w, ]+\])?"  # with a shape
NAMED = re.compile(rf"(?:^ *|(?<=[.)])\s+)({NAME}(?:,\s+(?:{NAME}|\.\.\.))*): (?=\S)", re.MULTILINE)  # no word of prose
CODE = re.compile(r"(`+.+?`+)", re.DOTALL)


class Parameters(Extension):
    """Rewrites the docstring of every object."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Make a list of the lines that explain parameters or attributes."""
        if obj.docstring and not obj.is_alias:
            obj.docstring.value = "\n\n".join(map(paragraph, obj.docstring.value.split("\n\n")))

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """Name the fields of a named tuple or dataclass."""
        plain = "dataclass" in cls.labels or any(str(base).endswith("NamedTuple") for base in cls.bases)
        own = {name: x for name, x in cls.attributes.items() if name[0] != "_" and "property" not in x.labels}
        fields = [f"`{name}: {x.annotation}`" for name, x in own.items() if x.annotation]
        if plain and fields and cls.docstring:
            cls.docstring = Docstring(f"{cls.docstring.value}\n\nFields: {', '.join(fields)}.", parent=cls)


def paragraph(text: str) -> str:
    """Return a paragraph of a docstring as Markdown."""
    if text.startswith("    "):  # a block of code
        return text
    parts = CODE.split(re.sub("::$", ":", text))
    parts[::2] = [part.replace("<", "&lt;").replace("*", "\\*") for part in parts[::2]]
    listed = NAMED.sub(r"\n* **\1**: ", "".join(parts))
    return listed.lstrip("\n") if listed.startswith("\n") else listed.replace("\n* ", "\n\n* ", 1)

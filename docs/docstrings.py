"""How the API pages read docstrings: a line "name: meaning" is an item of a list, and no sign is HTML."""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Docstring, Extension, Object

NAMED = re.compile(r"^( *)([a-z_]\w*(?:, \w+)*): (?=\S)", re.MULTILINE)
CODE = re.compile(r"(`+.+?`+)", re.DOTALL)


class Parameters(Extension):
    """Rewrites the docstring of every object."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Make a list of the lines that explain parameters or attributes."""
        if obj.docstring and not obj.is_alias:
            obj.docstring.value = "\n\n".join(map(_paragraph, obj.docstring.value.split("\n\n")))

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """Name the fields of a named tuple or dataclass."""
        plain = "dataclass" in cls.labels or any(str(base).endswith("NamedTuple") for base in cls.bases)
        fields = [f"`{name}: {x.annotation}`" for name, x in cls.attributes.items() if x.annotation and name[0] != "_"]
        if plain and fields and cls.docstring:
            cls.docstring = Docstring(f"{cls.docstring.value}\n\nFields: {', '.join(fields)}.", parent=cls)


def _paragraph(text: str) -> str:
    if text.startswith("    "):  # a block of code
        return text
    parts = CODE.split(re.sub("::$", ":", text))
    parts[::2] = [part.replace("<", "&lt;").replace("*", "\\*") for part in parts[::2]]
    listed = NAMED.sub(r"\n* **\2**: ", "".join(parts))
    return listed.lstrip("\n") if listed.startswith("\n") else listed

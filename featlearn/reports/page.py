"""The page: a template, a style sheet and a script, filled with the words and numbers of every store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib import colormaps

from featlearn.outputs import clear, refuse_overwriting
from featlearn.plots.style import GLOW, MAKO, PALETTE
from featlearn.reports.fonts import font_faces
from featlearn.reports.sections import Section, section
from featlearn.reports.sources import read

MARK = '<meta name="generator" content="featlearn report">'
RAISED, TAGS = re.compile(r"([\^_])\{([^{}]*)\}"), {"^": "sup", "_": "sub"}
DIVERGING = 11  # colours of a difference
SCRIPTS = ("numbers.js", "drawing.js", "heatmap.js", "curves.js", "cells.js", "explorer.js", "page.js")


def report(
    stores: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    title: str | None = None,
    where: Mapping[str, Any] | None = None,
    all_sweeps: bool = False,
    force: bool = False,
) -> Path:
    """Write stores as one self-contained HTML page, a section each; return its path.

    title: the heading; by default the names of the sweeps. where, all_sweeps: which runs of every store, as for
    ``featlearn.summary``. An earlier report is overwritten, another file only with `force`. Raises ValueError for no
    store, for another suffix than .html, and for a file that is in the way, before anything is read, and for a store
    without a run that is asked for; StoreError if there is no store at a path.
    """
    paths = [stores] if isinstance(stores, str | Path) else [*stores]
    out = Path(out)
    check_report(paths, out, force=force)
    text = render([section(read(path, where, all_sweeps=all_sweeps), i) for i, path in enumerate(paths, 1)], title)
    out.parent.mkdir(parents=True, exist_ok=True)
    clear(out)
    out.write_text(text, encoding="utf-8", newline="\n")
    return out


def check_report(stores: Iterable[str | Path], out: str | Path, *, force: bool = False) -> None:
    """Raise ValueError unless there is a store, and the file is to be HTML and only an earlier report is in its way."""
    out = Path(out)
    if not [*stores]:
        raise ValueError("a report needs a store")
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: a report is an .html file, not '{out.suffix}'")
    if not force:
        refuse_overwriting(out, "report", lambda content: MARK.encode() in content[:2000])


def render(sections: Sequence[Section], title: str | None = None) -> str:
    """Return the page. All words are escaped by the template, all numbers are JSON."""
    folder = Environment(loader=PackageLoader("featlearn.reports"), autoescape=True, undefined=StrictUndefined)
    folder.filters |= {"rich": rich, "flat": flat}
    folder.trim_blocks = folder.lstrip_blocks = True
    source = folder.loader.get_source  # type: ignore[union-attr]  # it has one, given above
    data = {"colours": colours(), "sections": [part.data for part in sections if part.data]}
    return folder.get_template("report.html").render(
        mark=Markup(MARK),
        title=title or ", ".join(dict.fromkeys(part.source.name for part in sections)),
        sections=sections,
        style=Markup("\n".join([font_faces(), line_colours(), source(folder, "report.css")[0]])),
        script=Markup("\n".join(source(folder, name)[0] for name in SCRIPTS)),
        data=script_json(data),
    )


def rich(text: str) -> Markup:
    """Return a text, escaped, in which ^{...} is raised and _{...} lowered."""
    raised = RAISED.sub(lambda found: f"<{TAGS[found[1]]}>{found[2]}</{TAGS[found[1]]}>", str(escape(text)))
    return Markup(raised)


def flat(text: str) -> str:
    """Return a text without the signs that raise and lower."""
    return RAISED.sub(lambda found: found[2], text)


def script_json(data: Any) -> Markup:
    """Return JSON that no text inside can end the script element with, nor open a comment in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def colours() -> dict[str, list[str]]:
    """Return the colours of the figures of `featlearn.plots`: of a quantity, a difference, and lines."""
    diverging = colormaps["RdBu_r"]
    steps = [diverging(i / (DIVERGING - 1))[:3] for i in range(DIVERGING)]
    hexes = ["#" + "".join(f"{round(255 * part):02x}" for part in step) for step in steps]
    return {"sequential": [*MAKO], "diverging": hexes, "lines": [f"var(--line{i})" for i in range(len(PALETTE))]}


def line_colours() -> str:
    """Return the rule of a style sheet that defines the colours of optimizers, on paper and on a dark page."""
    pairs = [
        f"--line{i}: light-dark({paper}, {dark});" for i, (paper, dark) in enumerate(zip(PALETTE, GLOW, strict=True))
    ]
    return f":root {{ {' '.join(pairs)} }}"

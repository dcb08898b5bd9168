"""Hooks of MkDocs: tables of every key and word, formulas as MathML, and links to files outside docs/.

The pages are Markdown that a code host shows too: they link to figures, notebooks and configs where these lie in the
repository. The site gets a copy of each file that is linked: figures and pages as they are, code as plain text.
"""

from __future__ import annotations

import posixpath
import re
from html import unescape
from pathlib import Path
from typing import Any

import ziamath
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files
from reference_tables import TABLES  # beside this file

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?!\w+:)([\w./-]+)(?=[#)])")
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
MARK = re.compile(r"^<!-- table: (\w+) -->$", re.MULTILINE)
MENDED = {  # what latex2mathml writes: a relation, a norm as high as its vector, letters whose variant browsers ignore
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    "<mo>&#x02016;</mo>": '<mo stretchy="false">&#x02016;</mo>',
    '<mi mathvariant="double-struck">E</mi>': "<mi>&#x1D53C;</mi>",
    '<mi mathvariant="double-struck">R</mi>': "<mi>&#x0211D;</mi>",
}
FONT = Path(ziamath.__file__).with_name("fonts") / "STIXTwoMath-Regular.ttf"
PAGES = {f"analysis/{path.name}" for path in (ROOT / "analysis").glob("*.md")}


def on_files(files: Files, config: Any) -> Files:
    """Add the font of formulas, the pages of PAGES, and every file outside docs/ to which a page links."""
    files.append(File.generated(config, f"fonts/{FONT.name}", abs_src_path=str(FONT)))
    for path in sorted(PAGES):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    for page in list(files.documentation_pages()):
        for path in filter(None, (_target(page, link) for link in LINK.findall(page.content_string))):
            if not files.get_file_from_path(_in_site(path)):
                files.append(File.generated(config, _in_site(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the generated tables, and point links to the copies in the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        path = _target(page.file, link[0])
        return posixpath.relpath(_in_site(path), folder or ".") if path else link[0]

    return MARK.sub(lambda mark: TABLES[mark[1]](), LINK.sub(moved, markdown))


def on_page_content(html: str, **_: Any) -> str:
    """Write formulas as MathML."""
    return MATH.sub(lambda found: _mathml(unescape(found[2]), block=found[1] == "div"), html)


def _target(page: File, link: str) -> str | None:
    """Return the path in the repository of the file that a page links to; None if there is none."""
    source = page.src_uri if page.src_uri in PAGES else f"docs/{page.src_uri}"
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return path if (ROOT / path).is_file() else None


def _in_site(path: str) -> str:
    """Return the place in the site of a file of the repository; code is shown as text."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path in PAGES or path.endswith(".png") else f"{path}.txt"


def _mathml(latex: str, *, block: bool) -> str:
    written = convert(latex.strip(), display="block" if block else "inline")
    for old, new in MENDED.items():
        written = written.replace(old, new)
    return written

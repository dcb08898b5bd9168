"""The page's font: the letters of STIX General that it needs, which the figures of `featlearn.plots` are set in too.

matplotlib ships it (STIX Fonts, SIL Open Font License, which permits embedding); a page carries about 60 kB of it.
"""

from __future__ import annotations

import base64
from functools import cache
from io import BytesIO
from pathlib import Path

import matplotlib
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FAMILY = "featlearn STIX"
FILES = {"400": "STIXGeneral.ttf", "700": "STIXGeneralBol.ttf"}  # by weight
RANGES = ((0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x2010, 0x2027), (0x2190, 0x2193), (0x2200, 0x22FF))


@cache
def font_faces() -> str:
    """Return the rules of a style sheet that define the font."""
    rule = '@font-face {{ font-family: "{}"; font-weight: {}; src: url(data:font/woff;base64,{}) format("woff"); }}'
    return "\n".join(rule.format(FAMILY, weight, _subset(file)) for weight, file in FILES.items())


def _subset(file: str) -> str:
    """Return the letters in RANGES of a font as WOFF, in base64."""
    font = TTFont(Path(matplotlib.get_data_path(), "fonts", "ttf", file))
    options = Options(
        flavor="woff", hinting=False, layout_features=["kern", "liga"], notdef_outline=True, drop_tables=["FFTM"]
    )
    letters = Subsetter(options)
    letters.populate(unicodes=[code for first, last in RANGES for code in range(first, last + 1)])
    letters.subset(font)
    font.flavor = "woff"
    content = BytesIO()
    font.save(content)
    return base64.b64encode(content.getvalue()).decode()

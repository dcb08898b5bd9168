"""The font that a page carries."""

import base64
import re
from io import BytesIO

from fontTools.ttLib import TTFont

from featlearn.reports.fonts import font_faces


def test_it_has_the_letters_of_the_labels_and_is_small():
    faces = font_faces()
    assert len(faces) < 150_000
    regular = re.search(r"font-weight: 400.*?base64,([\w+/=]+)", faces)[1]
    letters = TTFont(BytesIO(base64.b64decode(regular))).getBestCmap()
    assert {*map(ord, "aZ09‖μσηρλ√∞−×±…")} <= {*letters}

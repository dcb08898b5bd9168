"""The inverse of featlearn.reports.numbers.packed, as the page's script reads it."""

import base64
import zlib

import numpy as np


def unpacked(text, steps):
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(3, -1).astype(np.int64)
    zigzag = planes[0] | planes[1] << 8 | planes[2] << 16
    change = ((zigzag >> 1) ^ -(zigzag & 1)).reshape(-1, steps)
    return (np.cumsum(change, axis=1) << 9).astype(np.uint32).view(np.float32)

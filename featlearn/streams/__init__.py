"""Named random streams of a run, determined by its seed and a name.

``stream`` returns a numpy generator for one run. streams/lanes.py draws for a whole block, on any device; it needs
torch.
"""

from featlearn.streams.named import stream

__all__ = ["stream"]

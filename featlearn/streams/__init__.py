"""Named random streams of a run: found from its seed and a name alone.

``stream`` gives a numpy generator for one run. What a whole block draws, on any device, is in streams/lanes.py, which
needs torch.
"""

from featlearn.streams.named import stream

__all__ = ["stream"]

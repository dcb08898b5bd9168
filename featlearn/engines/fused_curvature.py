"""The Gram engine's Hessian in loops compiled for a CPU: gram_curvature.py in a fraction of the time."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from featlearn.engines import curvature_kernels, gram_curvature, lanczos_kernels
from featlearn.engines.gram_curvature import GramCurvature
from featlearn.engines.lanczos import TOLERANCE, by_size, normals
from featlearn.engines.lanczos_kernels import COORDINATES, MATRIX, SPAN
from featlearn.engines.wide_geometry import WideGeometry
from featlearn.models.kernels import kind_of

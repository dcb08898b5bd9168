"""Breast cancer in Wisconsin, 569 tumours, malignant or benign, that comes with scikit-learn.

Source: Street, Wolberg, Mangasarian 1993, Nuclear feature extraction for breast tumor diagnosis (UCI).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from featlearn.data.bundled import Bundled
from featlearn.types import Bound


@dataclass(frozen=True, kw_only=True)
class BreastCancer(Bundled):
    """Thirty features of cell nuclei with one-hot diagnoses; each has mean 0 and variance 1 over all 569 tumours.

    n_samples: training samples n, chosen at random by the run's seed; by default all.
    """

    word: ClassVar[str] = "breast_cancer"
    dim: ClassVar[int] = 30
    n_outputs: ClassVar[int] = 2

    n_samples: Annotated[int, Bound(ge=2, le=569)] = 569

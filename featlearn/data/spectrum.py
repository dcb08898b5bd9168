"""The spectrum of anisotropic Gaussian noise: a covariance with few distinct eigenvalues.

xi ~ N(0, noise_std^2 sum_b lambda_b P_b), P_b the projection onto the d_b axes of block b: spiked covariances, two
scales, power laws cut into blocks. The signals lie in the first block listed: there the noise has variance
noise_std^2 lambda_1 along them, unless it is projected off them. To put the signals elsewhere, list another block
first; a first block of eigenvalue 0 makes the noise orthogonal to them.
"""

from __future__ import annotations

from typing import Annotated

from featlearn.types import Listed, NonNegative, Positive

Spectrum = Annotated[tuple[Annotated[tuple[NonNegative, Positive | None], Listed()], ...], Listed()]


def blocks(spectrum: Spectrum | None, dim: int, n_signals: int) -> tuple[tuple[float, float], ...]:
    """Return the eigenvalue and the multiplicity of every block; none for isotropic noise, None.

    spectrum: eigenvalues and sizes. A size of 1 or more is a multiplicity, one below 1 a share of dim (rounded, so
    that shares of sum 1 fill dim exactly), None what the others leave.

    Raises ValueError unless the multiplicities are positive integers of sum dim, the first at least n_signals.
    """
    if spectrum is None:
        return ()
    counts: list[float | None] = []
    share = 0.0
    for _, size in spectrum:
        if size is None or size >= 1:
            counts.append(size)
        else:
            counts.append(float(round((share + size) * dim) - round(share * dim)))
            share += size
    known = sum(count for count in counts if count is not None)
    if counts.count(None) > 1:
        raise ValueError("noise_spectrum: only one block can have the size null, what the others leave")
    counts = [dim - known if count is None else count for count in counts]
    found = [float(count) for count in counts if count is not None]
    if any(count < 1 or count != int(count) for count in found):
        raise ValueError(f"noise_spectrum: with dim = {dim} a block has size {min(found):g}, expected integers >= 1")
    if sum(found) != dim:
        raise ValueError(f"noise_spectrum: the sizes add up to {sum(found):g}, and dim = {dim}")
    if found[0] < n_signals:
        raise ValueError(f"noise_spectrum: the first block has size {found[0]:g}, below the {n_signals} signals in it")
    return tuple((float(value), count) for (value, _), count in zip(spectrum, found, strict=True))

"""The scales of Chen et al. 2023 (arXiv 2310.07269): sizes of the init, of SAM's radius, of its phase.

The theorems fix powers, not constants, so every scale carries its constant `c`. Symbols: P patches,
noise_std sigma, dim d, n samples, m filters a sign, B batch_size. Functions of numbers. The config checks
the arguments; a zero in a denominator raises ZeroDivisionError.
"""

from math import sqrt

# What the radius and the length of SAM's phase are derived for: keys of a config, each with its value there. The size
# of the init compares a filter with a noise vector alone, and holds for any patches of noise.
SETTING = {"data.model": "signal_noise", "network.loss": "logistic", "network.second_layer": "fixed"}


def snr(signal_norm: float, noise_std: float, dim: float) -> float:
    """Signal to noise ratio |mu| / (sigma sqrt(d)): the signal's length over that of a typical noise vector.

    Source: Cao et al. 2022, arXiv 2202.06526.
    """
    return signal_norm / (noise_std * sqrt(dim))


def init_std(c: float, *, n_patches: float, noise_std: float, dim: float) -> float:
    """Standard deviation of an initial weight, sigma_0 = c / (P sigma sqrt(d)).

    With it <w0, xi> ~ c/P for an initial filter and a noise vector, in any dimension. Recalled
    (Theta~ in the paper).
    """
    return c / (n_patches * noise_std * sqrt(dim))


def sam_radius(
    c: float, *, n_filters: float, batch_size: float, n_patches: float, noise_std: float, dim: float
) -> float:
    """SAM's radius rho = c m sqrt(B) / (P sigma sqrt(d)).

    One SAM ascent moves <w, xi> by about -rho sigma sqrt(d) / sqrt(B m) against sigma_0 sigma sqrt(d) at
    the start, so the noise deactivates once rho is a few sigma_0 sqrt(B m); this scale is c sqrt(m) times
    that. Recalled (Theta in the paper).
    """
    return c * n_filters * sqrt(batch_size) / (n_patches * noise_std * sqrt(dim))


def sam_epochs(
    c: float,
    *,
    n_filters: float,
    batch_size: float,
    n_samples: float,
    signal_norm: float,
    lr: float,
    eps: float = 1.0,
) -> float:
    """Epochs of the SAM phase, c m B / (lr eps n |mu|^2), after which SGD fits what is left.

    The power is recalled. The unit is derived, since the recalled text says "steps": near log 2 of loss
    an epoch of n/B steps moves a signal coefficient by about lr n |mu|^2 / (4 B m), so it takes this many
    EPOCHS to learn the signal (n/B times as many steps). `eps` is the train loss to reach.
    """
    return c * n_filters * batch_size / (lr * eps * n_samples * signal_norm**2)

"""The Hessian of a loss times a direction, in the Gram engine: one product, for any sample weights.

The derivation is that of curvature.py. Here nothing is prepared for eigenvalues: the weights of the samples may be
negative, as those of a noise are, and the numbers have the engine's precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featlearn.engines.vector import Vector
from featlearn.linalg import product

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.span.engine import GramEngine


def hessian_product(engine: GramEngine, w: Vector, batch: Tensor, v: Vector, labels: Tensor) -> Vector:
    """Return H v, where H is the Hessian at w of sum_i batch_i loss(F_i, y_i); at a kink that of the smooth side.

    With the pre-activations z, their change dz along v, and the change dF of the outputs, it has the coefficients

        act'(z) (V dshare' + dV share') + act''(z) dz (V share')

    where share sums batch_i l'_i over the samples that show a patch, and dshare sums batch_i l''_i dF_i.
    """
    p, head, second = engine.problem, engine.head, engine.second(w)
    z, dz = w.leaves[2], v.leaves[2]
    active, slope = p.activation.value(z), p.activation.slope(z)
    outputs, changed = head.outputs(active, second), head.outputs(slope * dz, second)
    if p.trained:
        changed = changed + head.outputs(active, v.leaves[3])
    root = p.loss.root(outputs, labels)
    bent = (root * (root * changed[..., None]).sum(2)[:, :, None]).sum(3)  # l'' dF
    share, dshare = (head.per_patch(batch[..., None] * x) for x in (p.loss.slope(outputs, labels), bent))
    coef = slope * product(second, dshare.mT)
    if p.activation.second is not None:
        coef = coef + p.activation.second(z) * dz * product(second, share.mT)
    if not p.trained:
        return engine.vector(coef.new_zeros(len(coef)), coef, product(coef, p.gram))
    coef = coef + slope * product(v.leaves[3], share.mT)
    outer = product(active, dshare) + product(slope * dz, share)
    return engine.vector(coef.new_zeros(len(coef)), coef, product(coef, p.gram), outer)

"""The Hessian of a loss times directions, in the Gram engine, for any sample weights.

The derivation is that of curvature.py. Here nothing is prepared for eigenvalues: the weights of the samples may be
negative, as those of a noise are, and the numbers have the engine's precision.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from featlearn.engines.vector import Vector
from featlearn.linalg import product

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.span.engine import GramEngine


class Linearization:
    """The gradient of sum_i batch_i loss(F_i, y_i) near w, as a linear function of the change of w.

    With the pre-activations z, their change dz along v, and the change dF of the outputs, H v has the coefficients

        act'(z) (V dshare' + dV share') + act''(z) dz (V share')

    where share sums batch_i l'_i over the samples that show a patch, and dshare sums batch_i l''_i dF_i. At a kink H is
    the Hessian of the smooth side, which torch's autograd takes too.
    """

    def __init__(self, engine: GramEngine, w: Vector, batch: Tensor, labels: Tensor) -> None:
        self._engine, self._problem, self._second, self._z = engine, engine.problem, engine.second(w), w.leaves[2]
        self._batch, self._labels = batch[..., None], labels

    def hvp(self, v: Vector) -> Vector:
        """Return H v."""
        dz, dv = v.leaves[2], v.leaves[3] if self._problem.trained else None
        dshare = self._dshare(dz, dv)
        coef = self._slope * product(self._second, dshare.mT)
        if self._bend is not None:
            coef = coef + self._bend * dz
        if dv is None:
            outer = None
        else:
            coef = coef + self._slope * product(dv, self._share.mT)
            outer = product(self._active, dshare) + product(self._slope * dz, self._share)
        align = product(coef, self._problem.gram)
        return self._engine.vector(coef.new_zeros(len(coef)), coef, align, outer)

    def _dshare(self, dz: Tensor, dv: Tensor | None) -> Tensor:
        """Return the sum of batch_i l''_i dF_i over the samples that show a patch, [b, N, C]."""
        head = self._engine.head
        changed = head.outputs(self._slope * dz, self._second)
        if dv is not None:
            changed = changed + head.outputs(self._active, dv)
        bent = (self._root * (self._root * changed[..., None]).sum(2)[:, :, None]).sum(3)
        return head.per_patch(self._batch * bent)

    @cached_property
    def _active(self) -> Tensor:
        return self._problem.activation.value(self._z)

    @cached_property
    def _slope(self) -> Tensor:
        return self._problem.activation.slope(self._z)

    @cached_property
    def _outputs(self) -> Tensor:
        return self._engine.head.outputs(self._active, self._second)

    @cached_property
    def _root(self) -> Tensor:
        """R [b, n, C, C] with R R' = l''."""
        return self._problem.loss.root(self._outputs, self._labels)

    @cached_property
    def _share(self) -> Tensor:
        """The sum of batch_i l'_i over the samples that show a patch, [b, N, C]."""
        return self._engine.head.per_patch(self._batch * self._problem.loss.slope(self._outputs, self._labels))

    @cached_property
    def _bend(self) -> Tensor | None:
        """act''(z) (V share'), [b, f, N]; None where act'' = 0 almost everywhere."""
        second = self._problem.activation.second
        return None if second is None else second(self._z) * product(self._second, self._share.mT)

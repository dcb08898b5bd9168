"""The weight engine: explicit weights in an ``nn.Module``, gradients by autograd. Slow and obvious.

It is the oracle of the Gram engine, with which it shares draws but no gradient, and the home of rules that need
coordinates. A block's runs are lanes of one vectorised call (torch.func), on CPU or CUDA.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor, nn

from featlearn.engines.explicit.autograd import AutogradEngine
from featlearn.engines.patches import PatchEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Observation, Vector
from featlearn.engines.shards import averaged, repeated
from featlearn.functions.activations import Activation
from featlearn.geometry import Draw


class TwoLayerModule(nn.Module):
    """f(x) = scale sum_f sign_f sum_p act(<w_f, x_p> + b_f) for patches x [n, P, d], returned as [n]."""

    def __init__(self, weight: Tensor, bias: Tensor | None, signs: Tensor, scale: float, act: Activation) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.signs, self.scale, self.act = signs, scale, act

    def forward(self, patches: Tensor) -> Tensor:
        """Return the outputs of the samples."""
        hidden = self.act.value(nn.functional.linear(patches, self.weight, self.bias))
        return self.scale * (hidden * self.signs).sum((1, 2))


class WeightEngine(PatchEngine, AutogradEngine):
    """Parameters as explicit tensors; the leaves of a Vector are the module's parameters with a leading axis b."""

    provides = frozenset({"coordinates", "labels", "patches", "span"})

    def __init__(self, problem: Problem, draws: Sequence[Draw]) -> None:
        """Build from draws that kept their vectors (draw_run with patches=True)."""
        super().__init__(problem)
        self._patches = self._tensor([draw.patches for draw in draws])
        self._data = self._with_bias(self._tensor([draw.vectors for draw in draws]))
        self._pinv: Tensor = torch.linalg.pinv(self._data)
        weight = self._tensor([draw.weights for draw in draws])
        bias = self._tensor([draw.biases for draw in draws]) if problem.bias else None
        signs = problem.signs.flatten()
        first_bias = None if bias is None else bias[0]
        module = TwoLayerModule(weight[0], first_bias, signs, problem.scale, problem.activation)
        self._names = [name for name, _ in module.named_parameters()]
        self._initial = Vector((weight,) if bias is None else (weight, bias))

        def outputs(leaves: tuple[Tensor, ...], patches: Tensor) -> Tensor:
            named = dict(zip(self._names, leaves, strict=True))
            return torch.func.functional_call(module, named, (patches,))  # type: ignore[no-any-return]

        self._outputs = torch.func.vmap(outputs)

    def _tensor(self, arrays: Sequence[np.ndarray | None]) -> Tensor:
        like = self.problem.gram
        return torch.as_tensor(np.stack([np.asarray(a) for a in arrays]), dtype=like.dtype).to(like.device)

    def align(self, w: Vector) -> Tensor:
        """Return W V', biases being the alignments with the bias direction."""
        align: Tensor = self._joined(w) @ self._data.mT
        return align

    def margins(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return y_i f_i(w), [b, n]; ``labels`` stand in for the training set's own where given."""
        outputs: Tensor = self._outputs(w.leaves, self._patches)
        return outputs * (self.labels if labels is None else labels)

    def rows_square(self, u: Vector) -> Tensor:
        """Return the squared norm of every filter with its bias, [b, f]."""
        return self._joined(u).square().sum(2)

    def rows_gram(self, u: Vector) -> Tensor:
        """Return the inner products of filters with their biases, [b, f, f], in float64."""
        rows = self._joined(u).double()
        return rows @ rows.mT

    def scale_rows(self, u: Vector, x: Tensor) -> Vector:
        """Return u with its rows multiplied by x [b, f]."""
        return u.map(lambda leaf: x.reshape(*x.shape, *[1] * (leaf.ndim - 2)) * leaf)

    def mix_rows(self, u: Vector, mix: Tensor) -> Vector:
        """Return M u for M [b, f, f]."""
        return u.map(lambda leaf: (mix @ leaf.double().reshape(*leaf.shape[:2], -1)).reshape(leaf.shape).to(leaf.dtype))

    def double(self) -> WeightEngine:
        """Return the engine with its patches in float64."""
        exact = copy(self)
        exact._patches = self._patches.double()
        return exact

    def part(self, samples: Tensor) -> WeightEngine:
        """Return the engine of micro-batches [b, s, n']: it trains on their patches."""
        part = copy(self)
        PatchEngine.__init__(part, self.problem.part(samples))
        lane = torch.arange(len(samples), device=samples.device)[:, None, None]
        part._patches = self._patches[lane, samples].flatten(0, 1)
        return part

    def split(self, samples: Tensor, w: Vector) -> Vector:
        """Return w for every micro-batch."""
        return repeated(w, samples.shape[1])

    def mean(self, samples: Tensor, u: Vector) -> Vector:
        """Return the mean over the micro-batches of a run."""
        return averaged(u, samples.shape[1])

    def observe(self, w: Vector) -> Observation:
        """Describe w as alpha W0 + C V + rest, with alpha and C by least squares; the residual is |rest|.

        Across the data's span only W0 can remain, which gives alpha (1 where W0 has nothing there); C follows.
        """
        weights, start = self._joined(w), self._joined(self._initial)
        across, start_across = weights - self._onto_span(weights), start - self._onto_span(start)
        square = start_across.square().sum((1, 2))
        enough = square > 1e-16 * start.square().sum((1, 2))  # else what is left of W0 is rounding
        alpha = torch.where(enough, (across * start_across).sum((1, 2)) / square, 1.0)[:, None, None]
        coef = (weights - alpha * start) @ self._pinv
        residual = (across - alpha * start_across).flatten(1).norm(dim=1)
        return Observation(
            align=self.align(w),
            coef=coef,
            weight_gram=weights @ weights.mT,
            margins=self.margins(w),
            residual=residual,
        )

    def _onto_span(self, rows: Tensor) -> Tensor:
        return rows @ self._pinv @ self._data

    def _joined(self, w: Vector) -> Tensor:
        return torch.cat([w.leaves[0], w.leaves[1][..., None]], -1) if self.problem.bias else w.leaves[0]

    def _with_bias(self, vectors: Tensor) -> Tensor:
        if not self.problem.bias:
            return vectors
        b, k, d = vectors.shape
        padded = vectors.new_zeros(b, k + 1, d + 1)
        padded[:, :k, :d] = vectors
        padded[:, k, d] = 1
        return padded

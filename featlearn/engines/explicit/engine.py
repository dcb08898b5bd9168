"""The weight engine: explicit weights in an ``nn.Module``, gradients by autograd. Slow and simple.

It is the reference for the Gram engine, with which it shares draws but no gradient, and it runs the rules that need
coordinates. A block's runs are lanes of one vectorised call (torch.func), on CPU or CUDA.
"""

from __future__ import annotations

from copy import copy

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
    """F(x) = scale sum_p act(W x_p + b)' V for patches x [n, P, d], [n, C]; V [f, C] is the second layer."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, second: Tensor, scale: float, act: Activation, *, trained: bool
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        if trained:
            self.second = nn.Parameter(second)
        else:
            self.register_buffer("second", second)
        self.scale, self.act = scale, act

    def forward(self, patches: Tensor) -> Tensor:
        """Return the outputs of the samples."""
        hidden = self.act.twin(nn.functional.linear(patches, self.weight, self.bias))
        return self.scale * (hidden.sum(1) @ self.second)


class WeightEngine(PatchEngine, AutogradEngine):
    """Parameters as explicit tensors; the leaves of a Vector are the module's parameters with a leading axis b."""

    provides = frozenset({"coordinates", "labels", "patches", "span"})

    def __init__(self, problem: Problem, draw: Draw) -> None:
        """Build from a draw that kept its vectors (draw_run with keep=True)."""
        super().__init__(problem)
        patches, vectors, weight, bias = (
            None if x is None else x.to(problem.gram)
            for x in (draw.patches, draw.vectors, draw.weights, draw.geometry.biases)
        )
        assert patches is not None and vectors is not None and weight is not None
        self._distinct, self._signals = patches, vectors[:, : len(problem.composed.frame.signals)]
        lane = torch.arange(len(patches), device=patches.device)[:, None, None]
        times = torch.tensor(problem.times, device=patches.device)
        self._patches = patches[lane, problem.shown.repeat_interleave(times, 2)]  # [b, n, P, d]
        self._data = self._with_bias(vectors)
        self._pinv: Tensor = torch.linalg.pinv(self._data)
        module = TwoLayerModule(
            weight[0],
            None if bias is None else bias[0],
            problem.head,
            problem.scale,
            problem.activation,
            trained=problem.trained,
        )
        leaves = {"weight": weight, "bias": bias, "second": problem.head.expand(len(weight), -1, -1)}
        self._names = [name for name, _ in module.named_parameters()]
        self._initial = Vector(tuple(leaves[name] for name in self._names))  # type: ignore[misc]

        def outputs(leaves: tuple[Tensor, ...], patches: Tensor) -> Tensor:
            second = {} if problem.trained else {"second": problem.head.to(patches.dtype)}
            named = dict(zip(self._names, leaves, strict=True)) | second
            return torch.func.functional_call(module, named, (patches,))  # type: ignore[no-any-return]

        self._outputs = torch.func.vmap(outputs)

    def align(self, w: Vector) -> Tensor:
        """Return the pre-activations W X' + b on the distinct patches."""
        align = w.leaves[0] @ self._distinct.mT
        bias = self._bias(w)
        return align if bias is None else align + bias[..., None]

    def signal_align(self, u: Vector) -> Tensor:
        """Return W S' for the signals S, [b, f, S]."""
        return u.leaves[0] @ self._signals.mT

    def outputs(self, w: Vector) -> Tensor:
        """Return the outputs F_i(w), [b, n, C]."""
        outputs: Tensor = self._outputs(w.leaves, self._patches)
        return outputs

    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return the loss of every sample, [b, n], in torch's own functions."""
        return self.problem.loss.twin(self.outputs(w), self.labels if labels is None else labels)

    def rows_square(self, u: Vector) -> Tensor:
        """Return the squared norm of every row of the parameters, [b, f]."""
        return self._rows(u).square().sum(2)

    def rows_gram(self, u: Vector) -> Tensor:
        """Return the inner products of the rows of the parameters, [b, f, f], in float64."""
        rows = self._rows(u).double()
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
        """Describe w as alpha W0 + C V + rest over the vectors V, alpha and C by least squares; residual is |rest|.

        Orthogonally to the data's span only W0 has a part, which gives alpha (1 where W0 has none); C follows.
        """
        weights, start = self._joined(w), self._joined(self._initial)
        outside, start_outside = weights - self._onto_span(weights), start - self._onto_span(start)
        square = start_outside.square().sum((1, 2))
        enough = square > 1e-16 * start.square().sum((1, 2))  # else the remainder of W0 is rounding
        alpha = torch.where(enough, (outside * start_outside).sum((1, 2)) / square, 1.0)[:, None, None]
        coef = (weights - alpha * start) @ self._pinv
        return Observation(
            align=self.align(w),
            signal_align=self.signal_align(w),
            bias=self._bias(w),
            second=w.leaves[-1] if self.problem.trained else self.problem.head.expand(len(weights), -1, -1),
            coef=coef[..., : self.problem.composed.squares.shape[1]],
            weight_gram=w.leaves[0] @ w.leaves[0].mT,
            outputs=self.outputs(w),
            residual=(outside - alpha * start_outside).flatten(1).norm(dim=1),
            weighted_gram=self._weighted_gram(w.leaves[0]),
        )

    def _weighted_gram(self, weights: Tensor) -> Tensor | None:
        """Return W Lam W' with the variances of the noise along the axes; None where it is isotropic."""
        spectrum = self.problem.composed.frame.spectrum
        if not spectrum:
            return None
        values, counts = (torch.stack(numbers, 1) for numbers in zip(*spectrum, strict=True))
        rows = [value.repeat_interleave(count.long()) for value, count in zip(values, counts, strict=True)]
        return (weights * torch.stack(rows)[:, None].to(weights)) @ weights.mT

    def _onto_span(self, rows: Tensor) -> Tensor:
        return rows @ self._pinv @ self._data

    def _bias(self, w: Vector) -> Tensor | None:
        return w.leaves[1] if "bias" in self._names else None

    def _rows(self, u: Vector) -> Tensor:
        """Return the parameters of every filter in a row: weights, bias, second layer; [b, f, .]."""
        return torch.cat([leaf.flatten(2) if leaf.ndim > 2 else leaf[..., None] for leaf in u.leaves], 2)

    def _joined(self, w: Vector) -> Tensor:
        """Return filters with their biases, [b, f, d or d + 1]."""
        bias = self._bias(w)
        return w.leaves[0] if bias is None else torch.cat([w.leaves[0], bias[..., None]], -1)

    def _with_bias(self, vectors: Tensor) -> Tensor:
        """Return the vectors with one more coordinate, and the vector along it, where there are biases."""
        if self.problem.composed.biases is None:
            return vectors
        b, k, d = vectors.shape
        padded = vectors.new_zeros(b, k + 1, d + 1)
        padded[:, :k, :d] = vectors
        padded[:, k, d] = 1
        return padded

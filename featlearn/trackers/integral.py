"""Errors and losses on fresh samples, as an integral over their noise.

The outputs depend on a fresh Gaussian xi only through z = W xi ~ N(0, std^2 W Sigma W'), one number per filter; Sigma
projects orthogonally to the signals where the data's noise is orthogonal to them. The output on a kind of sample is a
constant from its patches without noise, plus a function N(z) of its patches with noise.

Where N is homogeneous (such as a power of the ReLU, without bias or signals), N(r u) = r^q N(u): the length r ~ chi is
integrated exactly and only the direction u is sampled, which turns an indicator into a smooth integrand.
Elsewhere the lengths are quantiles of the chi law.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from featlearn.trackers.covariance import noise_gram, semidefinite_cholesky
from featlearn.trackers.fresh_samples import Group
from featlearn.trackers.points import chi_lengths, padded_directions, padded_rotations, rotations, sobol_directions

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.problem import Problem
    from featlearn.engines.protocol import PatchView

_NUMBERS_AT_ONCE = {"cpu": 2**25, "cuda": 2**28}


class Sampling(Protocol):
    """The options of the integral (see TestError)."""

    @property
    def n_points(self) -> int:
        """Points of each scramble."""

    @property
    def n_scrambles(self) -> int:
        """Independent scrambles."""

    @property
    def noise_scale(self) -> float:
        """Factor of the noise."""

    @property
    def loss(self) -> bool:
        """Whether to compute the expected loss too."""


@dataclass(frozen=True, kw_only=True)
class Integral:
    """The outputs on the kinds of a group at the points of the integral; all in float64.

    gram [b, f, f]: W Sigma W'. second [b, f, C]: the second layer, times the scale of the network. fixed [b, K, C]: the
    outputs' part from patches without noise. shifts [b, Q, f] and stds [b, Q]: pre-activations of the others without
    their noise, and its standard deviations. turns [b, q, f, f]: the run's own rotations of the directions.
    lengths [b, points]: factors of the directions; 1 where lengths are integrated and no loss is recorded.
    degree: q where N is homogeneous, else 0. flip_prob [b].
    """

    problem: Problem
    group: Group
    n_points: int
    n_scrambles: int
    degree: int
    gram: Tensor
    second: Tensor
    fixed: Tensor
    shifts: Tensor
    stds: Tensor
    turns: Tensor
    lengths: Tensor
    flip_prob: Tensor

    @classmethod
    def of(cls, view: PatchView, group: Group, tracker: Sampling) -> Integral:
        """Return the integral over the group's noise, with the points and the noise scale of the tracker."""
        from featlearn.linalg import product

        p, signals = view.problem, view.signal_align.double()
        seeds, q, f = p.seeds, group.n_gaussians, view.align.shape[1]
        sizes = q, f, tracker.n_points, tracker.n_scrambles
        degree = 0 if view.bias is not None or group.shifted else p.activation.degree or 0
        bias = 0.0 if view.bias is None else view.bias.double()[..., None]
        second = p.scale * view.second.double()
        shifts = product(signals, group.strengths) + bias
        shown = product(p.activation.value(shifts[..., : len(group.shown)]).mT, second)
        unit = second.new_ones(()).expand(len(seeds), tracker.n_points * tracker.n_scrambles)
        return cls(
            problem=p,
            group=group,
            n_points=tracker.n_points,
            n_scrambles=tracker.n_scrambles,
            degree=degree,
            gram=noise_gram(view),
            second=second,
            fixed=(group.shown[:, :, None] * shown[:, :, None]).sum(1),
            shifts=shifts[..., len(group.shown) :].mT,
            stds=tracker.noise_scale * group.stds,
            turns=rotations(seeds, q, f) if q else signals.new_zeros(len(seeds), 0, f, f),
            lengths=chi_lengths(seeds, *sizes) if q and (tracker.loss or not degree) else unit,
            flip_prob=p.composed.flip_prob.double(),
        )

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """The true labels of the kinds as the loss takes them, [K]: +-1 with one output, else classes."""
        p, labels = self.problem, self.group.labels
        if p.n_outputs > 1 and p.n_classes == 2:
            return tuple(int(label < 0) for label in labels)
        return tuple(int(label) for label in labels)

    @cached_property
    def noise(self) -> Tensor:
        """N at every point, or at its direction where N is homogeneous, [b, s, C, points]."""
        if not self.group.numbers:
            return self.second.new_zeros(len(self.second), self.n_scrambles, self.second.shape[2], self.n_points)
        try:
            return self._plain_noise() if self.second.is_cuda else self._compiled_noise()
        except ModuleNotFoundError:
            return self._plain_noise()

    @property
    def errors(self) -> Tensor:
        """The error of each kind of sample against its true label, [b, K, s]."""
        try:
            return self._plain_errors() if self.second.is_cuda else self._compiled_errors()
        except ModuleNotFoundError:
            return self._plain_errors()

    @property
    def losses(self) -> Tensor:
        """The expected loss on each kind of sample, with its observed label, [b, K, s]."""
        import torch

        p, lengths = self.problem, self.lengths.reshape(-1, self.n_scrambles, 1, self.n_points)
        noise = self.noise * lengths**self.degree if self.degree else self.noise
        choices = (1, -1) if p.n_outputs == 1 else tuple(range(p.n_outputs))
        rows, flips = [], self.flip_prob[:, None]
        for fixed, label in zip(self.fixed.unbind(1), self.labels, strict=True):
            outputs = (fixed[:, None, :, None] + noise).mT
            by_label = {y: p.loss.value(outputs, outputs[..., 0] * 0 + y).mean(2) for y in choices}
            right = by_label.pop(label)
            wrong = sum(by_label.values()) / len(by_label)
            rows.append((1 - flips) * right + torch.where(flips > 0, flips * wrong, 0.0))
        return torch.stack(rows, 1)

    @cached_property
    def parts(self) -> tuple[Integral, ...]:
        """The block in parts with at most _NUMBERS_AT_ONCE pre-activations each."""
        import torch

        numbers = self.lengths.shape[1] * self.gram.shape[1] * max(1, self.stds.shape[1])
        most = max(1, _NUMBERS_AT_ONCE[self.gram.device.type] // numbers)
        at_once = 2 ** (most.bit_length() - 1)  # a full block is then cut into equal parts
        if at_once >= len(self.gram):
            return (self,)
        tensors = {x.name: getattr(self, x.name) for x in fields(self)}
        cut = {name: torch.split(x, at_once) for name, x in tensors.items() if isinstance(x, torch.Tensor)}
        return tuple(replace(self, **dict(zip(cut, part, strict=True))) for part in zip(*cut.values(), strict=True))

    def _compiled_noise(self) -> Tensor:
        from featlearn.functions.compiled import activation_kind
        from featlearn.trackers.integral_loops import noise_outputs, workspace

        s, n_outputs = self.n_scrambles, self.second.shape[2]
        gram, second, shifts, stds, lengths = (
            x.contiguous().numpy()
            for x in (self.gram, self.second.mT, self.shifts, self.stds, self.lengths[: 1 if self.degree else None])
        )
        directions, turns = padded_directions(self._sizes), padded_rotations(self.turns)
        patches = shifts, stds, np.array(self.group.times, float), np.array(self.group.numbers)
        out = self.second.new_empty(len(gram), s, n_outputs, directions.shape[-1])
        work = workspace(directions, turns, stds.shape[1], n_outputs)
        points = directions, turns, lengths.reshape(len(lengths), s, -1)
        kind = activation_kind(self.problem.activation.name)
        noise_outputs(gram, second, patches, *points, kind, self.degree > 0, work, out.numpy())
        return out[..., : self.n_points]

    def _plain_noise(self) -> Tensor:
        import torch

        from featlearn.linalg import product

        lower = semidefinite_cholesky(self.gram)
        total = torch.zeros_like(self.second[:, :1])
        for place, (number, times) in enumerate(zip(self.group.numbers, self.group.times, strict=True)):
            factor = self.stds[:, place, None, None] * product(lower, self.turns[:, number])
            z = product(self._directions[:, :, number].flatten(0, 1), factor.mT)
            if not self.degree:
                z = self.shifts[:, place, None] + self.lengths[..., None] * z
            total = total + times * product(self.problem.activation.value(z), self.second)
        return total.reshape(len(total), self.n_scrambles, self.n_points, -1).mT

    @cached_property
    def _directions(self) -> Tensor:
        """Points on the unit sphere, the same for every run, [s, points, q, f]."""
        import torch

        q, f, n_points, n_scrambles = self._sizes
        return torch.as_tensor(sobol_directions(*self._sizes)).to(self.gram.device).reshape(n_scrambles, n_points, q, f)

    @property
    def _sizes(self) -> tuple[int, int, int, int]:
        """The number of Gaussians, of filters, of points and of scrambles."""
        return self.group.n_gaussians, self.gram.shape[1], self.n_points, self.n_scrambles

    @property
    def _half(self) -> float:
        """Half the degrees of freedom of a squared length."""
        return self.group.n_gaussians * self.gram.shape[1] / 2

    def _compiled_errors(self) -> Tensor:
        from featlearn.trackers.integral_loops import errors, errors_of_classes

        out = self.fixed.new_empty(*self.fixed.shape[:2], self.n_scrambles)
        arrays = self.fixed.contiguous().numpy(), self.noise.contiguous().numpy(), np.array(self.labels)
        loop = errors_of_classes if self.noise.shape[2] > 2 else errors
        loop(*arrays, self.n_points, self.degree, self._half, out.numpy())
        return out

    def _plain_errors(self) -> Tensor:
        import torch

        rows = []
        for fixed, label in zip(self.fixed[:, None, :, :, None].unbind(2), self.labels, strict=True):
            start, rise = leads(fixed, label), leads(self.noise, label)
            row = radial_error(start, rise, self.degree, self._half) if self.degree else plain_error(start + rise)
            rows.append(row)
        return torch.stack(rows, 1).mean(3)


def leads(outputs: Tensor, label: int) -> Tensor:
    """Return the lead of the right output, [..., C, points] -> [..., C - 1, points]: y f, or f_y - f_j."""
    if outputs.shape[-2] == 1:
        return label * outputs
    others = [j for j in range(outputs.shape[-2]) if j != label]
    return outputs[..., label, None, :] - outputs[..., others, :]


def plain_error(lead: Tensor) -> Tensor:
    """Return 1 where a lead [..., J, points] is negative, 1 - 1/k where k outputs tie for the largest. NaN stays."""
    wrong, ties = (lead < 0).any(-2).to(lead.dtype), (lead == 0).sum(-2)
    return shared(wrong, ties, lead)


def shared(wrong: Tensor, ties: Tensor, lead: Tensor) -> Tensor:
    """Return the probability of a wrong answer where ``ties`` other outputs tie with the right one; NaN stays."""
    import torch

    return torch.where(lead.isnan().any(-2), torch.nan, (wrong + ties) / (1 + ties))


def radial_error(start: Tensor, rise: Tensor, degree: int, half: float) -> Tensor:
    """Return P(a lead of start + r^degree rise, [..., J, points], is negative), r ~ chi, 2 ``half`` degrees of freedom.

    No lead is where r^degree is between the largest zero of a rising lead and the smallest of a falling one.
    """
    import torch

    ratio = (-start / rise.where(rise != 0, 1.0)).clamp(min=0)
    end = start + rise
    low = ratio.where(rise > 0, 0.0).amax(-2)
    falling = ratio.where(rise < 0, torch.inf)
    high = falling.where((rise != 0) | (end >= 0), 0.0).amin(-2)
    ties = ((rise == 0) & (end == 0)).sum(-2)
    a = torch.full_like(low, half)
    below, above = (x.pow(2 / degree) / 2 for x in (low, high))
    wrong = torch.special.gammainc(a, below) + torch.special.gammaincc(a, above)
    return shared(wrong.where(low < high, 1.0), ties, end)

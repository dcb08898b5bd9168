"""Errors and losses on explicit fresh samples: patches in d dimensions, an explicit network, torch's own functions."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from helpers import view_of

from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.geometry import draw_vectors

COUNT, PARTS, DIM = 10**6, 10, 20


@cache
def normals():
    """Two standard normal vectors for each of 10^6 samples, the same in all tests, [parts, samples, 2, d]."""
    drawn = np.random.default_rng(7).standard_normal((PARTS, COUNT // PARTS, 2, DIM), dtype=np.float32)
    return torch.as_tensor(drawn)


class Explicit:
    """The network of a run after some full-batch steps, and fresh samples for it."""

    def __init__(self, run, steps):
        assert run.data.dim == DIM
        self.run, self.data, network = run, run.data, run.network
        leaves = [leaf[0] for leaf in view_of(replace(run, engine="weights"), steps=steps).w.leaves]
        self.weight, self.bias = leaves[0], leaves[1] if network.bias else 0.0
        self.second = leaves[-1] if network.second_layer == "trained" else torch.as_tensor(network.head(run.data))
        self.scale = network.scale(run.data.n_patches)
        self.act, self.loss = ACTIVATIONS[network.activation].twin, LOSSES[network.loss]
        self.signals = torch.as_tensor(draw_vectors(run.data, run.seed)[: len(run.data.frame.signals)])
        spectrum = run.data.frame.spectrum or ((1.0, float(DIM)),)
        variances = [variance for variance, size in spectrum for _ in range(int(size))]
        self.projection = torch.tensor(variances).double().sqrt().diag()
        if run.data.frame.orthogonal:
            self.projection -= self.projection @ torch.linalg.pinv(self.signals) @ self.signals

    def patch(self, patch, noises, noise_scale):
        """An explicit patch of fresh samples, [samples, d], or [1, d] if it is the same for all."""
        x = sum((strength * self.signals[number] for number, strength in patch.signals), torch.zeros(DIM).double())
        return x[None] if patch.noise is None else x + noise_scale * patch.std * noises[:, patch.noise]

    def outputs(self, kinds, part, noise_scale):
        """F of every kind, [samples, C] each; kinds share the patches that are equal."""
        noises = part.double() @ self.projection
        hidden = {
            patch: self.act(self.patch(patch, noises, noise_scale) @ self.weight.T + self.bias) @ self.second
            for patch in dict.fromkeys(patch for kind in kinds for patch in kind.patches)
        }
        for kind in kinds:
            assert sum(patch.times for patch in kind.patches) == self.data.n_patches
            total = sum(patch.times * hidden[patch] for patch in kind.patches)
            yield (self.scale * total).expand(len(part), -1)

    def observed(self, label, count, rng):
        """Observed labels of a true one, as the loss takes them, and that one."""
        n, binary = self.data.n_classes, self.second.shape[1] == 1
        label = int(label < 0) if n == 2 else int(label)
        others = (label + rng.integers(1, n, count)) % n
        classes = torch.as_tensor(np.where(rng.random(count) < self.data.flip_prob, others, label)).double()
        return (1 - 2 * classes, 1.0 - 2 * label) if binary else (classes, float(label))

    def columns(self, noise_scale=1.0, n_parts=PARTS):
        """Mean and standard error of every column of the test error's tracker, over a number of parts of the draws."""
        rng, kinds = np.random.default_rng(8), self.data.population()
        rows = [[] for _ in kinds]
        for part in normals()[:n_parts]:
            for kind, found, outputs in zip(kinds, rows, self.outputs(kinds, part, noise_scale), strict=True):
                labels, true = self.observed(kind.label, len(part), rng)
                wrong = [mistakes(outputs, y) for y in (labels, torch.full_like(labels, true))]
                found.append(torch.stack([*wrong, self.loss.twin(outputs, labels)]))
        rows = [torch.cat(found, 1) for found in rows]
        by_kind = [(found.mean(1), found.std(1) / found.shape[1] ** 0.5) for found in rows]
        names = ("test_error", "test_error_true", "test_loss")
        found = {
            name: weighted([(k.probability, m[i], s[i]) for k, (m, s) in zip(kinds, by_kind, strict=True)])
            for i, name in enumerate(names)
        }
        for name in {kind.name for kind in kinds} - {""}:
            own = [(k.probability, m[1], s[1]) for k, (m, s) in zip(kinds, by_kind, strict=True) if k.name == name]
            found[f"test_error.{name}"] = weighted(own)
        return found


def weighted(parts):
    """The mean of several means; kinds share their draws, so that standard errors add at most."""
    total = sum(p for p, _, _ in parts)
    return tuple(float(sum(part[0] * part[i] for part in parts) / total) for i in (1, 2))


def mistakes(outputs, labels):
    """1 where an output is wrong; k that tie count 1 - 1/k."""
    if outputs.shape[1] == 1:
        margin = labels * outputs[:, 0]
        return (margin < 0).double() + (margin == 0).double() / 2
    top = (outputs == outputs.max(1, keepdim=True).values).double()
    return 1 - top[torch.arange(len(top)), labels.long()] / top.sum(1)

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
    """Two standard normal vectors for each of 10^6 samples, the same in every test, [parts, samples, 2, d]."""
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
        self.projection = torch.eye(DIM).double()
        if run.data.frame.orthogonal:
            self.projection -= torch.linalg.pinv(self.signals) @ self.signals

    def samples(self, kind, part, noise_scale):
        """Explicit patches of a kind, [samples, P, d]."""
        patches, noises = [], part.double() @ self.projection
        for patch in kind.patches:
            x = sum((strength * self.signals[number] for number, strength in patch.signals), torch.zeros(DIM).double())
            if patch.noise is not None:
                x = x + noise_scale * patch.std * noises[:, patch.noise]
            patches += [x.expand(len(part), DIM)] * patch.times
        assert len(patches) == self.data.n_patches
        return torch.stack(patches, 1)

    def outputs(self, patches):
        """F [samples, C]."""
        return self.scale * (self.act(patches @ self.weight.T + self.bias).sum(1) @ self.second)

    def observed(self, label, count, rng):
        """Observed labels of a true one, as the loss takes them, and that one."""
        n, binary = self.data.n_classes, self.second.shape[1] == 1
        label = int(label < 0) if n == 2 else int(label)
        others = (label + rng.integers(1, n, count)) % n
        classes = torch.as_tensor(np.where(rng.random(count) < self.data.flip_prob, others, label)).double()
        return (1 - 2 * classes, 1.0 - 2 * label) if binary else (classes, float(label))

    def columns(self, noise_scale=1.0):
        """Mean and standard error of every column of the test error's tracker."""
        rng, kinds, by_kind = np.random.default_rng(8), self.data.population(), []
        for kind in kinds:
            rows = []
            for part in normals():
                outputs = self.outputs(self.samples(kind, part, noise_scale))
                labels, true = self.observed(kind.label, len(part), rng)
                wrong = [mistakes(outputs, y) for y in (labels, torch.full_like(labels, true))]
                rows.append(torch.stack([*wrong, self.loss.twin(outputs, labels)]))
            rows = torch.cat(rows, 1)
            by_kind.append((rows.mean(1), rows.std(1) / COUNT**0.5))
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
    """The mean of several means; kinds share their draws, so that standard errors add up at most."""
    total = sum(p for p, _, _ in parts)
    return tuple(float(sum(part[0] * part[i] for part in parts) / total) for i in (1, 2))


def mistakes(outputs, labels):
    """1 where an output is wrong; outputs that tie share."""
    if outputs.shape[1] == 1:
        margin = labels * outputs[:, 0]
        return (margin < 0).double() + (margin == 0).double() / 2
    top = (outputs == outputs.max(1, keepdim=True).values).double()
    return 1 - top[torch.arange(len(top)), labels.long()] / top.sum(1)

"""A small network, its data and a training loop, for the optimizers of featlearn.optim.torch; needs torch only."""

from itertools import islice

import torch
from torch import nn


def network(dtype=torch.float64, *, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(dtype)


def samples(n=12, dtype=torch.float64, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 4, generator=generator, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(3, (n,), generator=generator)


def batches(dtype=torch.float64):
    """An endless sequence of mini-batches, each of new samples."""
    seed = 10
    while True:
        yield samples(8, dtype, seed=seed)
        seed += 1


def loss_of(model, batch):
    inputs, labels = batch
    return nn.functional.cross_entropy(model(inputs), labels)


def closure_of(model, *parts):
    """The closure over the sum of the losses on some batches, each with a backward pass of its own."""

    def closure():
        losses = [loss_of(model, part) for part in parts]
        for loss in losses:
            loss.backward()
        return sum(losses).detach()

    return closure


def parts_of(batch, count):
    """A batch in equal parts."""
    return list(zip(*(part.chunk(count) for part in batch), strict=True))


def step(model, optimizer, batch, closure=closure_of, **further):
    """One step in closure style, with one closure for each micro-batch of the rule; ``closure`` makes one."""
    n_shards = getattr(optimizer._rule, "n_shards", None)
    closures = [closure(model, part) for part in parts_of(batch, n_shards)] if n_shards else closure(model, batch)
    return optimizer.step(closures, **further)


def train(model, optimizer, steps, *, start=0, style="closure", dtype=torch.float64, scheduler=None, share=tuple):
    """The losses over some steps, in either style; ``share`` selects the part of each batch to train on."""
    whole, losses = share(samples(30, dtype)), []
    pairs = zip(batches(dtype), islice(batches(dtype), 50, None), strict=False)
    for batch, more in (map(share, pair) for pair in islice(pairs, start, start + steps)):
        if style == "closure":
            extra = {"full": closure_of(model, whole), "other": closure_of(model, more)}
            losses.append(step(model, optimizer, batch, **extra).item())
        else:
            losses.append(loss_of(model, batch).item())
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            optimizer.first_step()
            loss_of(model, batch).backward()
            optimizer.second_step()
        if scheduler is not None:
            scheduler.step()
    return losses


def plain_train(model, optimizer, steps, dtype=torch.float64, *, n_parts=1, scheduler=None):
    """The same batches with an optimizer of torch alone, its gradient the mean over ``n_parts`` of a batch."""
    for batch in islice(batches(dtype), steps):
        optimizer.zero_grad()
        for part in parts_of(batch, n_parts):
            (loss_of(model, part) / n_parts).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def weights(model):
    return [p.detach().clone() for p in model.parameters()]


def same(a, b):
    """Whether two lists of tensors, or two models, agree to the bit."""
    a, b = (weights(x) if isinstance(x, nn.Module) else x for x in (a, b))
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def apart(a, b):
    """The largest difference between two lists of tensors, or two models."""
    a, b = (weights(x) if isinstance(x, nn.Module) else x for x in (a, b))
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))

"""Two processes that share a model, forked from this one: run with a folder that holds cases.pickle.

It imports no more than they need, once for both.
"""

import os
import pickle
import sys
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import torch
import torch._dynamo  # which DistributedDataParallel would import in each
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.func import functional_call
from torch.nn.parallel import DistributedDataParallel
from training import batches, loss_of, network, train, weights

from featlearn.optim.torch import RULES, Refused


def shares(rank):
    """The function that gives a worker its half of a batch."""
    return lambda batch: tuple(part[rank::2] for part in batch)


def in_two_steps(model, optimizer, steps, share, synchronised):
    for batch in islice(batches(), steps):
        mine = share(batch)
        optimizer.zero_grad()
        with nullcontext() if synchronised else model.no_sync():
            loss_of(model, mine).backward()
        optimizer.first_step()
        loss_of(model, mine).backward()
        optimizer.second_step()


class Cut(nn.Module):
    """The network with every matrix cut along its columns: each worker computes with the whole, and stores one half."""

    def __init__(self):
        super().__init__()
        self.inner, mesh = network(), init_device_mesh("cpu", (2,))
        for layer in (self.inner[0], self.inner[2]):
            for name, p in list(layer.named_parameters()):
                cut = distribute_tensor(p.detach(), mesh, [Shard(1) if p.ndim == 2 else Replicate()])
                setattr(layer, name, nn.Parameter(cut))

    def forward(self, x):
        return functional_call(self.inner, {name: p.full_tensor() for name, p in self.inner.named_parameters()}, x)


def model_of(case):
    if case["kind"] == "cut":
        return Cut()
    if case["kind"] == "fully sharded":
        return fully_shard(network())
    return DistributedDataParallel(network(), gradient_as_bucket_view=case["kind"] == "bucket views")


def run(case, rank):
    """Return the weights that a worker ends with."""
    model = model_of(case)
    optimizer = RULES[case["rule"]](model.parameters(), torch.optim.SGD, **case["options"])
    share = tuple if case["kind"] == "cut" else shares(rank)
    if case["style"] == "closure":
        train(model, optimizer, case["steps"], share=share)
    else:
        in_two_steps(model, optimizer, case["steps"], share, case["style"] == "two steps")
    return [p.full_tensor() if hasattr(p, "full_tensor") else p for p in weights(model)]


def older_class():
    """Return why parameters of FullyShardedDataParallel, the older class, are refused."""
    model = FullyShardedDataParallel(network(), device_id=torch.device("cpu"), use_orig_params=True)
    optimizer = RULES["SAM"](model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1)
    try:
        train(model, optimizer, 1)
    except Refused as refused:
        return str(refused)


def work(rank, folder):
    """Run every case, and save its result."""
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    cases = pickle.loads((folder / "cases.pickle").read_bytes())
    found = {name: run(case, rank) for name, case in cases.items()}
    torch.save({**found, "the older class": older_class()}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def main():
    folder, child = Path(sys.argv[1]), os.fork()
    work(0 if child else 1, folder)
    if child and os.waitpid(child, 0)[1]:
        sys.exit("the other worker failed")


if __name__ == "__main__":
    main()

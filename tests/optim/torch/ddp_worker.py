"""One of two processes under DistributedDataParallel: run with its rank, the file they meet at, and a folder."""

import sys
from itertools import islice
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from training import batches, loss_of, network, weights

from featlearn.optim.torch import RULES

STEPS = 6
OPTIONS = {"lr": 0.1, "momentum": 0.9}
CASES = {  # name: rule, its numbers, whether the first gradient is synchronised, buckets as gradients
    "sam": ("SAM", {"rho": 0.3}, True, False),
    "sam bucket views": ("SAM", {"rho": 0.3}, True, True),
    "sam closure": ("SAM", {"rho": 0.3}, True, False),
    "usam": ("USAM", {"rho": 0.3}, True, False),
    "m-sam": ("SAM", {"rho": 0.3}, False, False),
    "m-usam": ("USAM", {"rho": 0.3}, False, False),
}


def share(batch, rank):
    """A worker's half of a batch."""
    return tuple(part[rank::2] for part in batch)


def run(name, rank):
    rule, numbers, synchronised, views = CASES[name]
    model = DistributedDataParallel(network(), gradient_as_bucket_view=views)
    optimizer = RULES[rule](model.parameters(), torch.optim.SGD, **numbers, **OPTIONS)
    for batch in islice(batches(), STEPS):
        mine = share(batch, rank)

        def backward(mine=mine):
            loss = loss_of(model, mine)
            loss.backward()
            return loss

        if name.endswith("closure"):
            optimizer.step(backward)
            continue
        optimizer.zero_grad()
        if synchronised:
            backward()
        else:
            with model.no_sync():
                backward()
        optimizer.first_step()
        backward()
        optimizer.second_step()
    return weights(model)


def main():
    rank, meeting, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    torch.save({name: run(name, rank) for name in CASES}, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

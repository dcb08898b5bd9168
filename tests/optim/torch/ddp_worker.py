"""Two processes under DistributedDataParallel, forked from this one: run with a folder that holds cases.pickle.

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
from torch.nn.parallel import DistributedDataParallel
from training import batches, loss_of, network, train, weights

from featlearn.optim.torch import RULES


def shares(rank):
    """What gives a worker its half of a batch."""
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


def run(case, rank):
    """Return the weights that a worker ends with."""
    model = DistributedDataParallel(network(), gradient_as_bucket_view=case["bucket_views"])
    optimizer = RULES[case["rule"]](model.parameters(), torch.optim.SGD, **case["options"])
    if case["style"] == "closure":
        train(model, optimizer, case["steps"], share=shares(rank))
    else:
        in_two_steps(model, optimizer, case["steps"], shares(rank), case["style"] == "two steps")
    return weights(model)


def work(rank, folder):
    """Run every case, and save what came of it."""
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    cases = pickle.loads((folder / "cases.pickle").read_bytes())
    torch.save({name: run(case, rank) for name, case in cases.items()}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def main():
    folder, child = Path(sys.argv[1]), os.fork()
    work(0 if child else 1, folder)
    if child and os.waitpid(child, 0)[1]:
        sys.exit("the other worker failed")


if __name__ == "__main__":
    main()

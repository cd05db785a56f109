"""Which of several processes and devices are this one's, when torchrun started it."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from torch import Tensor, distributed


@dataclass(frozen=True, slots=True)
class Rank:
    """One of several processes that train together.

    Parameters
    ----------
    place : number of this process, from 0
    world : number of processes, on all machines
    near : number of this process among those on its machine, from 0
    here : number of processes on this machine
    """

    place: int = 0
    world: int = 1
    near: int = 0
    here: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.place < self.world:
            raise ValueError(f"process {self.place} of {self.world}; expected one from 0 on")

    @property
    def machines(self) -> int:
        """Number of machines; torchrun starts the same number of processes on each."""
        return self.world // self.here


ALONE = Rank()


def rank() -> Rank:
    """Return which process this is; the only one unless torchrun started it."""
    if not TorchElasticEnvironment.detect():
        return ALONE
    environment = TorchElasticEnvironment()
    here = int(os.environ["LOCAL_WORLD_SIZE"])  # torchrun's, which Lightning does not read
    return Rank(environment.global_rank(), environment.world_size(), environment.local_rank(), here)


def is_first() -> bool:
    """Return whether this process is the one that writes files and talks."""
    return rank().place == 0


def fast_device() -> torch.device:
    """Return this process's GPU if the machine has one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", rank().near % torch.cuda.device_count())


def meet() -> None:
    """Connect the processes, if there are several and they are not yet connected."""
    if rank().world > 1 and not distributed.is_initialized():
        distributed.init_process_group()
        atexit.register(distributed.destroy_process_group)


def add_up(values: Tensor) -> Tensor:
    """Return the sum of `values` over all processes, on the CPU."""
    total = values.detach().cpu().clone()
    if distributed.is_initialized():
        distributed.all_reduce(total)
    return total


def follow_first(number: int) -> int:
    """Return what the first process gave, in every process."""
    return int(add_up(torch.tensor(number if is_first() else 0)))

"""What the processes of a training tell each other. With one process, nothing is sent."""

from __future__ import annotations

import torch
from torch import distributed


def processes() -> int:
    """Return how many processes train together."""
    there = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if there else 1


def rank() -> int:
    """Return which of them this is; 0 writes what is written once."""
    return distributed.get_rank() if processes() > 1 else 0


def gathered(own: torch.Tensor) -> torch.Tensor:
    """Return the rows of all processes, in their order, without a graph. own: [n, ...]."""
    if processes() == 1:
        return own
    parts = [torch.empty_like(own) for _ in range(processes())]
    distributed.all_gather(parts, own.contiguous())
    return torch.cat(parts)


def any_process(*own: bool, device: torch.device) -> tuple[bool, ...]:
    """Whether each is true in any process. All must ask."""
    if processes() == 1:
        return own
    flags = torch.tensor(own, dtype=torch.float32, device=device)
    distributed.all_reduce(flags, distributed.ReduceOp.MAX)
    return tuple(flags.bool().tolist())


def own_part(count: int) -> slice:
    """Return the rows of this process: parts of one size, the last of which may overlap."""
    return part(count, rank(), processes())


def part(count: int, of: int, among: int) -> slice:
    """Return the rows of one process among several, as `own_part`."""
    size = -(-count // among)
    first = max(0, min(of * size, count - size))
    return slice(first, min(count, first + size))

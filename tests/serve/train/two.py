"""Two processes of one training by the command, forked once torch is imported.

python -m tests.serve.train.two FOLDER PORT WORD...

Each writes what it prints to RANK.out in the folder.
"""

import multiprocessing
import os
import sys
from pathlib import Path

import model.training.fine_tune
import model.training.learning.fit  # noqa: F401 - heavy, and needed by both
from serve.commands.train.command import train


def one_of_two(rank, folder, port, words):
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip
    with (folder / f"{rank}.out").open("wb") as file:
        os.dup2(file.fileno(), 1)
    train(words)


def main(folder, port, *words):
    context = multiprocessing.get_context("fork")
    two = [
        context.Process(target=one_of_two, args=(rank, Path(folder), port, words))
        for rank in range(2)
    ]
    for one in two:
        one.start()
    for one in two:
        one.join()
    return any(one.exitcode for one in two)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The processes of a training on one instance: started, passed signals to, and heard out.

They find each other by the variables that torchrun sets. torchrun itself kills after 30 s what it
was asked to stop, while SageMaker gives a training 120 s to save its state.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from serve.commands.signals import EXIT_CODE, SIGNALS
from serve.commands.train.job.folder import Cluster

PORT = 29500
# Variables that tell gloo and NCCL which network to use.
INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
ERROR = "Error: "
# Exit codes of a process that a signal has stopped: by its handler, or before it had one.
STOPPED = (EXIT_CODE, 128 + signal.SIGTERM)
# Lines of a process that are kept for the reason of its end.
LAST_LINES = 40
# The others wait for a process that has failed, perhaps for each other: they get this long.
GRACE_S = 10.0


@dataclass(frozen=True)
class Places:
    """Where the processes of this instance are among those of all. local: how many run here."""

    cluster: Cluster
    local: int
    port: int = PORT

    def environ(self, number: int, cores: int) -> dict[str, str]:
        """Return what torchrun would set for a process of this instance; nothing for a sole one."""
        world = self.local * len(self.cluster.hosts)
        if world == 1:
            return {}
        found = {
            "RANK": self.rank(number),
            "LOCAL_RANK": number,
            "WORLD_SIZE": world,
            "LOCAL_WORLD_SIZE": self.local,
            "MASTER_ADDR": self.cluster.hosts[0],
            "MASTER_PORT": self.port,
            "OMP_NUM_THREADS": max(1, cores // self.local),
        }
        if self.cluster.interface:
            found |= dict.fromkeys(INTERFACES, self.cluster.interface)
        return {name: str(value) for name, value in found.items()}

    def rank(self, number: int) -> int:
        """Return the rank of a process of this instance among all."""
        return self.cluster.rank * self.local + number


@dataclass(frozen=True)
class End:
    """How processes ended. code: 0 if all did well. reason: one sentence, empty if they did.

    stopped: a signal asked for it, and nothing failed.
    """

    code: int
    reason: str = ""
    stopped: bool = False


class Processes:
    """Runs a command in several processes, to the end of all of them.

    A signal is passed on to all. When one fails, the others are ended. The first one's output is
    this process's, and so are the last lines of one that fails.
    """

    def __init__(self) -> None:
        self._running: list[_Process] = []
        self._ended: SimpleQueue[_Process] = SimpleQueue()
        self._stopped = False

    def run(self, commands: Sequence[Sequence[str]], environs: Sequence[dict[str, str]]) -> End:
        """Run one process for each command. Needs the main thread, for its signals."""
        before = {one: signal.signal(one, self._pass_on) for one in SIGNALS}
        try:
            for number, (words, environ) in enumerate(zip(commands, environs, strict=True)):
                self._running.append(_Process(words, environ, self._ended, shown=number == 0))
            if self._stopped:  # before all of them were there
                self._pass_on()
            return self._wait()
        finally:
            self._kill()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait(self) -> End:
        end = End(0)
        for _ in self._running:
            ended = self._ended.get()
            if ended.code and not end.code:
                stopped = self._stopped and ended.code in STOPPED
                end = End(ended.code, ended.reason(), stopped)
                if not self._stopped:
                    self._end_others(ended)
        return end

    def _end_others(self, failed: _Process) -> None:
        failed.show()
        for one in self._running:
            one.send(signal.SIGTERM)
        late = threading.Timer(GRACE_S, self._kill)
        late.daemon = True
        late.start()

    def _kill(self) -> None:
        for one in self._running:
            one.kill()

    def _pass_on(self, *_: object) -> None:
        self._stopped = True
        for one in self._running:
            one.send(signal.SIGTERM)


class _Process:
    """One process, whose output is read in a thread. code: of its end; 128 + n for a signal n."""

    def __init__(
        self, words: Sequence[str], environ: dict[str, str], ended: SimpleQueue[_Process], *,
        shown: bool,
    ) -> None:  # fmt: skip
        self.code = 0
        self._shown, self._ended = shown, ended
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            words, env=os.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._hear_out, daemon=True).start()

    def send(self, number: int) -> None:
        """Send a signal; one that has ended takes none."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def show(self) -> None:
        """Print its last lines, if they were not."""
        if not self._shown:
            sys.stdout.writelines(self._last)
            sys.stdout.flush()

    def reason(self) -> str:
        """Return why it failed: its own sentence, the signal, or its last line."""
        said = [line.strip() for line in self._last if line.strip()]
        errors = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
        if errors:
            return errors[-1]
        if self.code > 128:
            name = signal.Signals(self.code - 128).name
            return f"the training was ended by {name}; is there too little memory?"
        return said[-1] if said else f"the training ended with the exit code {self.code}"

    def _hear_out(self) -> None:
        with self._process:
            for line in self._process.stdout or ():
                self._last.append(line)
                if self._shown:
                    sys.stdout.write(line)
                    sys.stdout.flush()
        code = self._process.returncode
        self.code = code if code >= 0 else 128 - code
        self._ended.put(self)

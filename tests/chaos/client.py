"""A client as callers write it: it keeps its connection, and retries what may pass."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from serve.benchmark.endpoint_load.client import MAX_PAUSE_S
from tests.chaos.asking import Ask, draw
from tests.chaos.checking import Circumstances, Finding, check, read
from tests.chaos.items import SECRET, Catalogue
from tests.chaos.journal import DRAIN, WORKER, Journal
from tests.chaos.tally import Tally

HOST, PATH = "127.0.0.1", "/invocations"
# An answer that comes so long after its deadline hangs; a machine that others use, too, is slow.
GRACE_S = 5.0
# For a worker that was killed to be replaced, and warm.
REPLACED_S = 45.0
MAX_TRIES, BROKEN_PAUSE_S = 40, 0.2
# What a share of the requests has.
HALF_SENT, LEFT, NEW_CONNECTION = 0.06, 0.06, 0.3
BROKEN = (OSError, http.client.HTTPException)


class Client:
    """One caller, for one thread at a time."""

    def __init__(
        self, port: int, catalogue: Catalogue, journal: Journal, tally: Tally, dice: random.Random
    ) -> None:
        self._port = port
        self._catalogue, self._journal, self._tally, self._dice = catalogue, journal, tally, dice
        self._connection: http.client.HTTPConnection | None = None
        self._opened_s = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Ask, and behave badly now and then, until told to stop."""
        while not stopping.is_set():
            ask, luck = draw(self._dice, self._catalogue), self._dice.random()
            if luck < HALF_SENT + LEFT:
                self._leave(ask, half=luck < HALF_SENT)
            else:
                self.ask(ask)
        self.close()

    def ask(self, ask: Ask) -> bool:
        """Ask until there is an answer, and check it: whether there was one in the end."""
        self._tally.add("requests", "asked")
        for _ in range(MAX_TRIES):
            pause = self._try(ask)
            if pause is None:
                return True
            self._tally.add("requests", "retried")
            time.sleep(pause)
        self._tally.add("requests", "given up")
        return False

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, ask: Ask) -> float | None:
        """Ask once: None when it was answered, else how long to wait, s."""
        if self._dice.random() < NEW_CONNECTION:
            self.close()
        limit_s = ask.deadline_ms / 1000 + GRACE_S
        sent_s = time.monotonic()
        try:
            status, body = self._post(ask, limit_s + REPLACED_S)
        except BROKEN as exc:
            self._note_broken(exc, sent_s, limit_s)
            self.close()
            return self._dice.uniform(0, BROKEN_PAUSE_S)
        end_s = time.monotonic()
        self._check_time(sent_s, end_s, limit_s)
        if SECRET.encode() in body:
            self._find("leaked", body.decode()[:300])
        if status == http.HTTPStatus.OK:
            self._note_answer(ask, body, sent_s, end_s)
            return None
        return self._note_refusal(status, body, sent_s, end_s)

    def _post(self, ask: Ask, timeout_s: float) -> tuple[int, bytes]:
        if self._connection is None:
            self._opened_s = time.monotonic()
            self._connection = http.client.HTTPConnection(HOST, self._port, timeout_s)
            self._connection.connect()
        self._connection.sock.settimeout(timeout_s)
        kind = "application/jsonlines" if ask.streamed else "application/json"
        headers = {"Content-Type": "application/json", "Accept": kind}
        self._connection.request("POST", PATH, ask.body, headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.will_close:
            self.close()
        return response.status, body

    def _note_answer(self, ask: Ask, body: bytes, sent_s: float, end_s: float) -> None:
        answer = read(ask, body)
        faults = self._journal.between(sent_s, end_s)
        self._tally.find(check(ask, answer, Circumstances(faults, end_s - sent_s)))
        self._tally.add("requests", "answered")
        for item, result in zip(ask.items, answer.get("results", ()), strict=False):
            came = result["error"]["code"] if "error" in result else "embedding"
            self._tally.add("ending" if item.ends else "items", came)

    def _note_refusal(self, status: int, body: bytes, sent_s: float, end_s: float) -> float:
        """How long to wait before the next try, s."""
        try:
            error = json.loads(body)["error"]
            code, pause = error["code"], min(float(error["retry_after_ms"]) / 1000, MAX_PAUSE_S)
        except (ValueError, KeyError):
            code, pause = f"status {status}", 1.0
        self._tally.add("unanswered", code)
        away = self._journal.between(sent_s, end_s) & WORKER
        if not (code == "overloaded" or (code == "not_ready" and away)):
            self._find("unexplained", f"{status} {body.decode(errors='replace')[:300]}")
        return pause

    def _note_broken(self, exc: Exception, sent_s: float, limit_s: float) -> None:
        now_s = time.monotonic()
        self._tally.add("unanswered", "connection broken")
        self._check_time(sent_s, now_s, limit_s)
        # A kept connection may have been cut before it was used again.
        faults = self._journal.between(min(self._opened_s, sent_s), now_s)
        if not faults & WORKER:
            self._find("broken", f"{exc!r} after {now_s - sent_s:.2f} s with no worker killed")
        elif faults & WORKER == {DRAIN}:
            self._tally.add("unanswered", "of these, by a worker that drained")

    def _check_time(self, sent_s: float, end_s: float, limit_s: float) -> None:
        took_s = end_s - sent_s - self._journal.worker_away_s(sent_s, end_s)
        if took_s > limit_s:
            self._find("hang", f"{took_s:.1f} s, of {limit_s - GRACE_S:g} s")

    def _leave(self, ask: Ask, *, half: bool) -> None:
        """Send a request or the half of one, and go."""
        self._tally.add("disconnects", "half sent" if half else "before the answer")
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(ask.body)}\r\n\r\n"
        with suppress(OSError), self._opened() as connection:
            connection.sendall(head.encode() + ask.body[: len(ask.body) // 2 if half else None])
            time.sleep(self._dice.uniform(0, 0.5))

    @contextmanager
    def _opened(self) -> Iterator[socket.socket]:
        with socket.create_connection((HOST, self._port), timeout=GRACE_S) as connection:
            yield connection

    def _find(self, kind: str, detail: str) -> None:
        self._tally.find([Finding(kind, detail)])

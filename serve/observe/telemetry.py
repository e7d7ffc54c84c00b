"""Log and count requests: one structured line per request, none for a ping."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from pythonjsonlogger.orjson import OrjsonFormatter

from inference.stats import StageTimes
from inference.types import Answer, Failure, Lane, Result
from serve.observe.metrics import Metrics

log = logging.getLogger("sweetspot.request")

FOR_PEOPLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FIELDS = ("asctime", "levelname", "name", "message")
# A match ends at a backslash, which escapes a quote or a newline in a line of JSON.
_QUERY = re.compile(r"""\?[^\s"'<>\\=?]*=[^\s"'<>\\]*""")
_USER = re.compile(r"""//[^\s"'<>\\/@]+@""")
NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}


def configure_logging() -> None:
    """Log to standard error, where the platform and `docker logs` look.

    A line is a JSON object with the fields of a request; on a terminal, it is plain text.
    """
    handler = _Redacting(sys.stderr)
    handler.setFormatter(
        logging.Formatter(FOR_PEOPLE)
        if sys.stderr.isatty()
        else OrjsonFormatter(FIELDS, rename_fields=NAMES)
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # A damaged image is already the item's failure. Python would also keep each of Pillow's
    # warnings for ever to show it only once; they all differ, since they quote numbers of the file.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")


def redact(line: str) -> str:
    """Remove query strings and user names from URLs: a presigned URL is a credential."""
    return _USER.sub("//[redacted]@", _QUERY.sub("?[redacted]", line))


class _Redacting(logging.StreamHandler[TextIO]):
    """Redacts whole lines, including libraries' exceptions and stack traces."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class Tally:
    """Counts the results of one request."""

    def __init__(self, metrics: Metrics, lane: Lane) -> None:
        self._metrics, self._lane = metrics, lane
        self._items = 0
        self._failures: Counter[str] = Counter()

    def add(self, results: Sequence[Result]) -> None:
        """Count some results."""
        failed = Counter(one.code for one in results if isinstance(one, Failure))
        self._metrics.results(self._lane, results, failed)
        self._items += len(results)
        self._failures += failed

    def end(self, times: StageTimes) -> None:
        """Log and count the request, after all its results."""
        times_ms = times.as_ms()
        self._metrics.answered(self._lane, times_ms["total_ms"])
        failures = dict(sorted(self._failures.items()))
        words = ", ".join(f"{count} {code}" for code, count in failures.items())
        log.info(
            "200: %d %s items in %.0f ms%s",
            self._items, self._lane, times_ms["total_ms"], f"; failed: {words}" if words else "",
            extra={
                "status": 200, "lane": self._lane, "items": self._items, "failures": failures,
                **times_ms,
            },
        )  # fmt: skip


class Telemetry:
    """Logs and counts finished requests. Never logs a URL or a text."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def answered(self, lane: Lane, answer: Answer) -> None:
        """Log and count items, failures by code, and the time of each stage."""
        tally = self.tally(lane)
        tally.add(answer.results)
        tally.end(answer.times)

    def tally(self, lane: Lane) -> Tally:
        """Return a tally for results that arrive in parts."""
        return Tally(self._metrics, lane)

    def refused(self, status: int, code: str, message: str) -> None:
        """Log and count a request that ended without results."""
        self._metrics.ended(None, code)
        log.info("%d: %s: %s", status, code, message, extra={"status": int(status), "code": code})

    def left(self, lane: Lane) -> None:
        """Log and count a client that closed its connection before the answer."""
        self._metrics.ended(lane, "client_left")
        log.info("the client left", extra={"lane": lane, "code": "client_left"})

"""Reads the head of an HTTP answer; passes on to http.client only the lines that are used.

Content networks send some 20 headers, fetching uses 7 of them. To parse the others, the email
package and urllib3 take a fifth of the time of a fetch.
"""

from __future__ import annotations

import re
from http.client import HTTPException, HTTPResponse
from typing import IO, Any

# Room for the head and an average thumbnail: a read of the socket lets the interpreter lock go.
BUFFER_BYTES = 64 * 1024
# As http.client, with the empty line at the end.
MAX_LINES = 100
# A header that is not used. Lines that are not written like this are left to http.client.
_UNUSED = re.compile(
    rb"(?!(?:Connection|Keep-Alive|Proxy-Connection|Content-Length|Content-Encoding|Location"
    rb"|Transfer-Encoding|ETag|Retry-After):)[!#$%&'*+.^_`|~0-9a-z-]+:[^\r\n]*\r?\n",
    re.IGNORECASE,
)


class LeanResponse(HTTPResponse):
    """A response of http.client that holds only the headers that are used."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = sock.makefile("rb", BUFFER_BYTES)

    def begin(self) -> None:
        """Read the head."""
        whole: Any = self.fp
        used: Any = UsedLines(whole)
        self.fp = used
        try:
            super().begin()
        finally:
            if self.fp is not None:  # None when the answer has no body
                self.fp = whole


class UsedLines:
    """The lines of one or more heads, without unused headers."""

    def __init__(self, whole: IO[bytes]) -> None:
        self._whole = whole
        self._lines = 0
        self._unused = False
        self.close = whole.close

    def readline(self, limit: int) -> bytes:
        """Return the next line that is used, at most `limit` bytes of it.

        Raises:
            HTTPException: the head has too many lines, used or not.
        """
        while True:
            line = self._whole.readline(limit)
            if line in {b"\r\n", b"\n", b""}:
                self._lines = 0
                return line
            self._lines += 1
            if self._lines == 1:  # the status
                self._unused = False
                return line
            if self._lines > MAX_LINES:
                raise HTTPException(f"more than {MAX_LINES} lines of headers")
            if line[:1] not in {b" ", b"\t"}:  # else it goes on with the line before
                self._unused = _UNUSED.fullmatch(line) is not None
            if not self._unused:
                return line

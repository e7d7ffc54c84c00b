"""Values of the headers ETag and Retry-After, as servers write them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A server that asks for a longer pause is asked again after an hour all the same.
MAX_RETRY_AFTER_S = 3600.0
# Visible ASCII, so no blank and no line end; quotes are not required, since some servers send none.
# Not `*`, which stands for every image. S3's ETags have 34 characters, those of servers under 100.
_ETAG = re.compile(r"(?!\*\Z)[!-~]{1,512}")


def is_etag(text: str) -> bool:
    """Return whether a text can be sent to a server as the ETag of one image."""
    return _ETAG.fullmatch(text) is not None


def etag_of(header: str | None) -> str | None:
    """Return a server's ETag if it can be sent back to it; None for any other and for none."""
    text = (header or "").strip()
    return text if is_etag(text) else None


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a server asks for, from 0 to an hour; None if it asks for nonsense.

    header: seconds or an HTTP date. now: the time, with a zone.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        asked_s = float(text)
    elif (until := _date(text)) is not None:
        asked_s = (until - now).total_seconds()
    else:
        return None
    return min(max(asked_s, 0.0), MAX_RETRY_AFTER_S)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        # An HTTP date is always of UTC; one that says so by `-0000` comes without a zone.
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

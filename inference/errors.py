"""Item errors by phase, each with its public code; separately, errors that end a whole request.

ItemError                     one item; becomes a Failure, other items are not affected
├── FetchError
│   ├── FetchBlocked          the URL or its address is not allowed
│   ├── FetchDns              the name has no address, or cannot be looked up now
│   ├── FetchConnect          no connection, or it broke
│   ├── FetchTls              the certificate or the handshake is bad
│   ├── FetchTimeout          it took too long
│   ├── FetchHttpStatus       a status without a complete image
│   ├── FetchTooLarge         more bytes than allowed
│   ├── FetchRedirects        too many hops, or one from https to http
│   ├── NotModified           still the image of the ETag that the caller gave
│   ├── S3Denied              no credentials, or no permission
│   └── S3NotFound            no such bucket or key
├── FileUnreadable            a local file is missing or cannot be read
├── TextInvalid               an empty, too long or invalid text
├── DeadlineExceeded          the request's deadline came first
├── EncodeFailed              the forward pass failed
└── Internal                  a fault of the service: its code, its memory, its packages
RequestError
├── Overloaded                no permits left; retry later
├── UnknownModel              no model of that name
└── ClientLeft                the client closed the connection
"""

from __future__ import annotations

from collections.abc import Sequence


class ItemError(Exception):
    """One item cannot be embedded. The message is shown to the caller."""

    code = "encode_failed"
    retryable = False
    retry_after_s: float | None = None


class FetchError(ItemError):
    """An image's bytes cannot be fetched.

    retry_after_s: for how long the server asked not to be asked again, at most one hour.
    """

    def __init__(
        self, message: str, *, retryable: bool | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        if retryable is not None:
            self.retryable = retryable


class FetchBlocked(FetchError):
    """The URL, its host or its address is not allowed."""

    code = "fetch_blocked"


class FetchDns(FetchError):
    """The name has no address; retryable when the look-up itself failed."""

    code = "fetch_dns"


class FetchConnect(FetchError):
    """No connection, or it broke before the last byte."""

    code = "fetch_connect"
    retryable = True


class FetchTls(FetchError):
    """The certificate or the handshake is bad."""

    code = "fetch_tls"


class FetchTimeout(FetchError):
    """Connecting or the whole fetch took too long."""

    code = "fetch_timeout"
    retryable = True


class FetchHttpStatus(FetchError):
    """The server answered with a status that has no complete image."""

    code = "fetch_http_status"


class FetchTooLarge(FetchError):
    """More bytes than one image may have."""

    code = "fetch_too_large"


class FetchRedirects(FetchError):
    """Too many redirects, or one from https to http."""

    code = "fetch_redirects"


class NotModified(FetchError):
    """The image is still that of the ETag that the caller gave. No request can give one."""

    code = "not_modified"


class S3Denied(FetchError):
    """No credentials, or they do not permit access."""

    code = "s3_denied"


class S3NotFound(FetchError):
    """No such bucket or key."""

    code = "s3_not_found"


class FileUnreadable(ItemError):
    """A local file is missing or cannot be read."""

    code = "file_unreadable"


class TextInvalid(ItemError):
    """The text is empty, too long or invalid."""

    code = "text_invalid"


class DeadlineExceeded(ItemError):
    """The request's deadline came before this item was done."""

    code = "deadline_exceeded"
    retryable = True


class EncodeFailed(ItemError):
    """The forward pass failed, or the service is stopping."""

    code = "encode_failed"
    retryable = True


class Internal(ItemError):
    """A fault of the service: a bug, too little memory, or a missing package."""

    code = "internal"
    retryable = True


class RequestError(Exception):
    """The whole request ends without results."""


class Overloaded(RequestError):
    """No permits left. retry_after_s: how long the client should wait before a retry."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many items in flight; retry later")
        self.retry_after_s = retry_after_s


class UnknownModel(RequestError):
    """No model of that name is loaded. reason: why it could not be loaded."""

    def __init__(self, name: str, there: Sequence[str], reason: str | None = None) -> None:
        what = f"model {name!r} was not loaded: {reason}" if reason else f"no model {name!r}"
        what = what if name else "no model was named"
        super().__init__(f"{what}; loaded models: {', '.join(there) or 'none'}")


class ClientLeft(RequestError):
    """The caller closed the connection; its work is shed."""

"""The client: asks one endpoint for the embeddings of a list of any length."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Mapping, Sized
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from deploy.client.chunks import USUAL_ITEMS, Limits, items_for
from deploy.client.ordered_requests import OrderedRequests
from deploy.client.retrying import Patience, ask
from inference.profile.profile import read
from serve.asking.transports import connect
from serve.observe.bars import counting
from serve.wire.client_side import FRAME_BYTES, EndpointError, Failed, Item, Result

# Real-time endpoints take 25 MB; serverless ones 4 MB.
MAX_BODY_BYTES = 25_000_000
MAX_ITEMS, MAX_CONCURRENCY = 50_000, 256


class FingerprintChanged(EndpointError):
    """Two answers came from different models: their embeddings are not comparable."""

    def __init__(self, first: str, then: str) -> None:
        message = f"answers of fingerprint {first}, then of {then}: embeddings are not comparable"
        super().__init__("fingerprint_changed", message, retryable=False)


class Client:
    """A client of one endpoint. Thread-safe, but not usable across a fork.

    Args:
        endpoint: a URL (`http://localhost:8080`), or the name of a SageMaker endpoint.
        client: boto3's `sagemaker-runtime` client, for an endpoint's name. Disable its own
            retries, which would multiply with ours. By default it is created here.
        model: name of one of the models that the endpoint serves; the first by default.
        items: most items a request; 64 by default.
        profile: a `sweetspot.json` of the endpoint's machine: then requests are whole multiples
            of the batches it found best.
        concurrency: requests in flight, for each call.
        max_body_bytes: of one request.
        patience: limits of retries.

    Attributes:
        fingerprint: of the first answer; all later answers must have the same.

    Raises:
        ValueError: an argument is invalid.
        EndpointError: AWS is not configured here; this one is a ValueError, too.
        ProfileError: the profile cannot be read.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        client: Any = None,
        model: str | None = None,
        items: int | None = None,
        profile: str | Path | None = None,
        concurrency: int = 4,
        max_body_bytes: int = MAX_BODY_BYTES,
        patience: Patience | None = None,
    ) -> None:
        if items is not None and profile is not None:
            raise ValueError("give items or profile, not both")
        if profile is not None:
            items = min(_items_of(Path(profile)), MAX_ITEMS)
        items = USUAL_ITEMS if items is None else items
        _check("items", items, 1, MAX_ITEMS)
        _check("concurrency", concurrency, 1, MAX_CONCURRENCY)
        _check("max_body_bytes", max_body_bytes, FRAME_BYTES + 1, 2**31)
        self._limits = Limits(items, max_body_bytes)
        self._concurrency = concurrency
        self._patience = patience or Patience()
        self._transport = connect(endpoint, client, concurrency, model)
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self.fingerprint: str | None = None

    def embed_urls(
        self, urls: Iterable[str], *, progress: bool = False
    ) -> Generator[Result, None, None]:
        """Embed thumbnails by URL (http, https, s3, data); see `embed`."""
        return self._start(urls, "url", progress=progress)

    def embed_texts(
        self, texts: Iterable[str], *, progress: bool = False
    ) -> Generator[Result, None, None]:
        """Embed texts; see `embed`."""
        return self._start(texts, "text", progress=progress)

    def embed_images(
        self, images: Iterable[bytes], *, progress: bool = False
    ) -> Generator[Result, None, None]:
        """Embed encoded images (PNG, JPEG, ...), sent along; see `embed`."""
        return self._start(images, "image", progress=progress)

    def embed(
        self, items: Iterable[Mapping[str, Any]], *, progress: bool = False
    ) -> Generator[Result, None, None]:
        """Embed items of any kind.

        Args:
            items: `{"url": ...}`, `{"text": ...}` or `{"image": bytes}`, each with an optional
                `id`. Items are read as needed, so this may be a generator of millions.
            progress: a bar on standard error, when that is a terminal.

        Returns:
            A generator of one Embedded or Failed per item, in order, as they come. New requests
            are sent only when the caller asks for the next result.

        Raises:
            EndpointError: while iterating: the endpoint refuses, cannot be reached for longer
                than patience lasts, or answers with another model (FingerprintChanged).
            ValueError: while iterating: an item is invalid.
        """
        return self._start(items, None, progress=progress)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def _start(
        self, given: Iterable[Any], kind: str | None, *, progress: bool
    ) -> Generator[Result, None, None]:
        if isinstance(given, str | bytes | Mapping):
            raise TypeError(f"expected many items, not one {type(given).__name__}")
        items = iter(given) if kind is None else ({kind: one} for one in given)
        walk = OrderedRequests(items, self._ask, self._limits, self._concurrency, self._patience)
        total = len(given) if isinstance(given, Sized) else None
        return _with_bar(walk.results(), total) if progress else walk.results()

    def _ask(self, items: list[Item], bulk: bool, leaving: threading.Event) -> tuple[Result, ...]:
        answer = ask(
            self._transport, items, self._patience, leaving, bulk=bulk, reached=self._reached
        )
        with self._lock:
            self.fingerprint = self.fingerprint or answer.fingerprint
            if answer.fingerprint != self.fingerprint:
                raise FingerprintChanged(self.fingerprint, answer.fingerprint)
        return answer.results


def _items_of(path: Path) -> int:
    """Return the items a request: the largest of those for the machines in the file."""
    return max(map(items_for, read(path)), default=USUAL_ITEMS)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value}")


def _with_bar(
    results: Generator[Result, None, None], total: int | None
) -> Generator[Result, None, None]:
    """The same results, counted on standard error when that is a terminal. total: if known."""
    failed = 0
    with closing(results), counting() as bar:
        task = bar.add_task("", total=total)
        for result in results:
            failed += isinstance(result, Failed)
            bar.update(task, advance=1, description=f"{failed:,} failed" if failed else "")
            yield result

"""Results counted on standard error, when that is a terminal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from serve.observe.bars import counting
from serve.wire.client_side import Failed, Result


def with_bar(
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

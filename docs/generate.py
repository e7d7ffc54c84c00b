"""Writes what follows from declarations: docs/settings.md, and the table of docs/cloudwatch.md.

`make docs` runs it. A test holds the pages current.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from model.files import write_whole
from serve.observe.cloudwatch.metrics import METRICS, Metric
from serve.settings import MAX_HEADER_CHARS, fields, flag_name, variable_name

SETTINGS_PAGE = Path(__file__).parent / "settings.md"
CLOUDWATCH_PAGE = Path(__file__).parent / "cloudwatch.md"
METRICS_HEAD = "| metric | unit | dimensions | dashboard | meaning |\n"
HEAD = """\
# Settings

A setting is a flag of `sweetspot serve`, or a variable; the flag comes first, then the variable,
then the default. Other commands have the flags that concern them; `sweetspot COMMAND --help` lists
these, with those that only this command has. A malformed value, or a `SWEETSPOT_*` variable that
does not exist, stops the start with its name, its value and what is allowed; what Kubernetes
injects for a service called sweetspot is ignored with a warning. `sweetspot settings` shows every
value and where it came from. Lists repeat the flag or take commas.

The port is also read from `SAGEMAKER_BIND_TO_PORT`, before `SWEETSPOT_PORT`. Inside a batch
transform job (`SAGEMAKER_BATCH=true`) some defaults are wider; they stand in brackets.

| flag | variable | default | allowed | meaning |
| --- | --- | --- | --- | --- |
"""


def settings_page() -> str:
    """The whole page."""
    return HEAD + "".join(map(_row, fields()))


def cloudwatch_page(page: str) -> str:
    """Return the page with its table of metrics written anew."""
    table = METRICS_HEAD + "| --- | --- | --- | --- | --- |\n" + "".join(map(_metric, METRICS))
    found = re.compile(re.escape(METRICS_HEAD) + r"(\|.*\n)*")
    return found.sub(lambda _: table, page, count=1)


def _metric(one: Metric) -> str:
    dimensions = "<br>".join(" x ".join(names) for names in one.dimension_sets)
    cells = (f"`{one.name}`", one.unit, dimensions, ", ".join(one.shown), one.meaning)
    return "| " + " | ".join(cells) + " |\n"


def _row(one: Any) -> str:
    cells = (
        f"`{flag_name(one.name)}`",
        f"`{variable_name(one.name)}`",
        _default(one),
        _allowed(one),
        one.metadata["help"],
    )
    return "| " + " | ".join(cells) + " |\n"


def _default(one: Any) -> str:
    if one.default in (None, ()):
        return "-"
    if one.metadata["kind"] == "switch":
        return "false"
    batch = one.metadata.get("batch")
    return f"{one.default}" + (f" ({batch})" if batch is not None else "")


def _allowed(one: Any) -> str:
    match one.metadata["kind"]:
        case "choice":
            return ", ".join(one.metadata["choices"])
        case "whole":
            return f"{one.metadata['low']} to {one.metadata['high']}"
        case "auto or whole":
            return f"auto, {one.metadata['low']} to {one.metadata['high']}"
        case "named":
            return "a list of name=checkpoint"
        case "names":
            return "a list"
        case "switch":
            return "true, false"
        case "name":
            return "1 to 64 of A-Za-z0-9._-"
        case "header":
            return f"ASCII, at most {MAX_HEADER_CHARS} characters"
        case _:
            return "text"


if __name__ == "__main__":
    write_whole(SETTINGS_PAGE, settings_page())
    write_whole(CLOUDWATCH_PAGE, cloudwatch_page(CLOUDWATCH_PAGE.read_text()))

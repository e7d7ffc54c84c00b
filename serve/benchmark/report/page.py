"""A report as one self-contained HTML page, with its charts, tables and sentences. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path

from serve.benchmark.report.table_rows import Rows

DRAWING = Path(__file__).with_name("drawing")
# In this order: each needs what stands before it.
SCRIPTS = ("d3.min.js", "plot.umd.min.js", "charts.js")
NO_SCRIPTS = "<noscript><p>The charts need JavaScript; the tables have all numbers.</p></noscript>"


def document(title: str, facts: Mapping[str, str], body: str) -> str:
    """Return the whole page around a body of HTML.

    The page asks nobody for anything: its policy allows its own scripts and no requests.
    """
    scripts = [_read(name) for name in SCRIPTS] if "<figure" in body and "data-kind" in body else []
    hashes = " ".join(f"'sha256-{_digest(one)}'" for one in scripts) or "'none'"
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_read('page.css')}</style>"
        f"<h1>{escape(title)}</h1>{facts_line(facts)}{NO_SCRIPTS if scripts else ''}{body}"
        + "".join(f"<script>{one}</script>" for one in scripts)
        + "</html>\n"
    )


def facts_line(facts: Mapping[str, str]) -> str:
    """Return what was measured and where, as a line of names and values."""
    shown = " · ".join(f"{escape(name)}: <b>{escape(value)}</b>" for name, value in facts.items())
    return f"<p class='facts'>{shown}</p>"


def lead(sentence: str) -> str:
    """Return the sentence that says what to do."""
    return f"<p class='lead'>{_written(sentence)}</p>"


def note(sentence: str) -> str:
    """Return a paragraph; nothing for an empty sentence."""
    return f"<p>{_written(sentence)}</p>" if sentence else ""


def warning(sentence: str) -> str:
    """Return a paragraph that is hard to miss; nothing for an empty sentence."""
    return f"<p class='warning'>{_written(sentence)}</p>" if sentence else ""


def section(title: str, *parts: str) -> str:
    """Return the parts below a heading; nothing when all parts are empty."""
    return f"<h2>{escape(title)}</h2>{''.join(parts)}" if any(parts) else ""


def side_by_side(*figures: str) -> str:
    """Return figures beside each other where there is room; empty ones are left out."""
    return f"<div class='side'>{''.join(figures)}</div>" if any(figures) else ""


def table(rows: Rows) -> str:
    """Return a table of text cells; their text is escaped."""
    shown = "".join(
        f"<tr class='{'best' if index == rows.best else ''}'>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for index, row in enumerate(rows.rows)
    )
    head = "".join(f"<th>{escape(one)}</th>" for one in rows.head)
    return f"<div class='table'><table><tr>{head}</tr>{shown}</table></div>"


def _written(sentence: str) -> str:
    """Return a sentence of the terminal as it is written in a text, escaped."""
    return escape(f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}.")


@cache
def _read(name: str) -> str:
    return (DRAWING / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

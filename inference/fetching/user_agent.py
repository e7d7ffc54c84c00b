"""The default User-Agent header for image servers, from the package's own metadata."""

from __future__ import annotations

from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

from model.errors import DISTRIBUTION

PRODUCT = "sweetspot"


def own() -> str:
    """Return the header of the installed package; the bare name if it is not installed."""
    try:
        return of(metadata(DISTRIBUTION))
    except PackageNotFoundError:
        return PRODUCT


def of(about: PackageMetadata) -> str:
    """Return `sweetspot/VERSION (+URL)`; no URL if pyproject.toml has no `project.urls`."""
    # `Project-URL: Homepage, https://...`; the entry called Homepage is used, else the first.
    urls = [entry.partition(",") for entry in about.get_all("Project-URL", [])]
    urls.sort(key=lambda one: one[0].strip().lower() != "homepage")
    home = f" (+{urls[0][2].strip()})" if urls else ""
    return f"{PRODUCT}/{about['Version']}{home}"

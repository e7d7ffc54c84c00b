"""Who asks image servers, where the operator does not say: from the package's own metadata."""

from __future__ import annotations

from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

PACKAGE = "sweetspot"


def own() -> str:
    """By the package as it is installed; the bare name where it only lies in a folder."""
    try:
        return of(metadata(PACKAGE))
    except PackageNotFoundError:
        return PACKAGE


def of(about: PackageMetadata) -> str:
    """`sweetspot/VERSION (+URL)`; without the URL where pyproject.toml has no `project.urls`."""
    # `Project-URL: Homepage, https://...`; what is called Homepage comes first, else the first.
    urls = [entry.partition(",") for entry in about.get_all("Project-URL", [])]
    urls.sort(key=lambda one: one[0].strip().lower() != "homepage")
    home = f" (+{urls[0][2].strip()})" if urls else ""
    return f"{PACKAGE}/{about['Version']}{home}"

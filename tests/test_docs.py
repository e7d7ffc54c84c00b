"""What the documents say is what the program does."""

import re
from pathlib import Path

import pytest

from benchmarks import instances
from docs.generate import CLOUDWATCH_PAGE, SETTINGS_PAGE, cloudwatch_page, settings_page
from inference import errors as item_errors
from inference.errors import ItemError
from inference.types import LANES, TOWERS
from model import errors as model_errors
from model.errors import DecodeError
from serve.errors import CODES
from serve.observe.cloudwatch.metrics import ALL, BY_LANE, BY_TOWER, METRICS

ROOT = Path(__file__).parents[1]


def test_the_settings_page_is_current():
    assert SETTINGS_PAGE.read_text() == settings_page(), "run `make docs`"


def test_the_metrics_of_cloudwatch_are_those_of_the_page_and_so_is_their_number():
    page = CLOUDWATCH_PAGE.read_text()
    assert page == cloudwatch_page(page), "run `make docs`"
    assert all(f"| `{one.name}` |" in page for one in METRICS)
    sets = [names for one in METRICS for names in one.dimension_sets]
    fixed = sets.count(ALL) + len(LANES) * sets.count(BY_LANE)
    a_model = len(TOWERS) * sets.count(BY_TOWER)
    assert f"| {fixed}, and {a_model} for each model | {0.3 * (fixed + a_model):.2f} " in page


def test_the_hours_on_paper_follow_from_the_measurements():
    lines = "\n".join(instances.table(instances.measured()))
    assert lines in (ROOT / "docs" / "cost.md").read_text()


@pytest.mark.parametrize("code", CODES)
def test_every_request_code_is_documented(code):
    assert f"`{code}`" in (ROOT / "docs" / "protocol.md").read_text()


def test_every_item_code_is_documented():
    """But one that no answer can have: requests name no ETag."""
    classes = [
        one
        for module in (item_errors, model_errors)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, ItemError | DecodeError)
    ]
    page = (ROOT / "docs" / "protocol.md").read_text()
    assert len(classes) > 10
    assert [one for one in classes if f"`{one.code}`" not in page] == [item_errors.NotModified]


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    for document in ("README.md", "CONTRIBUTING.md"):
        targets = re.findall(
            r"(?:^    |`)make ([a-z-]+)", (ROOT / document).read_text(), re.MULTILINE
        )
        assert targets
        for target in targets:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_sweetspot_command_of_the_documents_is_one():
    from click.testing import CliRunner

    from sweetspot import main

    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for line in re.findall(
            r"^    (?:\S*/)?sweetspot ([^\n#|<]*)", page.read_text(), re.MULTILINE
        ):
            words = [word for word in line.split() if word.isalpha()]
            names = words[:2] if words[0] in {"benchmark", "deploy"} else words[:1]
            shown = CliRunner().invoke(main, [*names, "--help"]).output
            for flag in re.findall(r"(?<!\S)--[a-z-]+", line):
                assert flag in shown, f"{page.name}: {line}"


def test_every_fact_of_the_platform_has_a_test_that_exists():
    page = (ROOT / "tests" / "README.md").read_text()
    table = page[page.index("| fact | test |") :].splitlines()[2:]
    rows = [line.strip("|").split("|") for line in table if line.startswith("|")]
    facts = [(fact.strip(), test.strip()) for fact, test in rows]
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    tests = set(re.findall(r"^def (test_\w+)\(", "\n".join(sources), re.MULTILINE))
    assert len(facts) > 40
    for fact, test in facts:
        heading = fact.startswith("**") and not test
        assert heading or (test.startswith("`") and test.strip("`") in tests), fact


def test_every_file_that_a_document_names_exists():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = re.compile(r"`((?:deploy|serve|inference|model|benchmarks|examples)/[\w/]+\.py)")
    missing = {
        (page.name, path)
        for page in pages
        for path in named.findall(page.read_text())
        if not (ROOT / path).is_file()
    }
    assert not missing

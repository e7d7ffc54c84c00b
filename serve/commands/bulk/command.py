"""The command `bulk`. Imports little, so that `--help` is fast."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click

from model.errors import install
from serve.commands.signals import guarded
from serve.options import PRICE, SERVER_ONLY, load_settings, with_settings

# Packages of a choice, and the extra of those that `bulk` does not bring.
NEEDED = {"ray": ("ray",), "lance": ("lance",)}
EXTRAS = {"lance": "lance"}


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", required=True, help="folder or s3:// URL; resumes the job in it")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local",
              show_default=True, help="this process, or actors on a Ray cluster")  # fmt: skip
@click.option("--ray-address", help="of the cluster  [default: Ray on this machine]")
@click.option("--url-column", help="column of URLs  [default: url]")
@click.option("--text-column", help="column of texts, for rows without a URL")
@click.option("--id-column", help="column of ids  [default: file and row]")
@click.option("--format", "output_format", type=click.Choice(["parquet", "lance"]),
              default="parquet", show_default=True, help="of the output")  # fmt: skip
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32",
              show_default=True, help="numbers of an embedding")  # fmt: skip
@click.option("--rows-per-part", type=click.IntRange(1, 1_000_000), default=16_384,
              show_default=True, help="most rows of a part")  # fmt: skip
@click.option("--per-host", type=click.IntRange(1), help="requests at once to one host")
@click.option("--previous", help="output of an earlier job: embed only what has changed")
@click.option(
    "--retry-failed",
    is_flag=True,
    help="try failures again that may pass, and URLs that were blocked",
)
@click.option("--price-per-hour", type=PRICE, help="of all machines, for the summary")
@click.option("--json", "as_json", is_flag=True, help="print the summary as JSON")
@with_settings(without=SERVER_ONLY)
def bulk(
    inputs: tuple[str, ...],
    output: str,
    engine: str,
    ray_address: str | None,
    url_column: str | None,
    text_column: str | None,
    id_column: str | None,
    output_format: str,
    dtype: str,
    rows_per_part: int,
    per_host: int | None,
    previous: str | None,
    price_per_hour: float | None,
    *,
    retry_failed: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Embed tables of any number of URLs; go on where a run stopped.

    INPUT is Parquet, JSON Lines, CSV or plain lines: a file, a glob, a folder, or s3://. The
    output is a folder of Parquet files, or of a table of Lance, with a row for each row of the
    input. The same command again goes on where it stopped.

    \b
    Examples:
      sweetspot bulk urls.txt -o embeddings
      sweetspot bulk screens.parquet -o embeddings --url-column thumbnail --id-column screen
      sweetspot bulk s3://bucket/screens/ -o s3://bucket/embeddings --model ./checkpoint
      sweetspot bulk screens.csv -o embeddings --retry-failed
      sweetspot bulk screens.csv -o monday --previous sunday
      sweetspot bulk screens.csv -o embeddings --format lance
    """
    for package in ("pyarrow", *NEEDED.get(engine, ()), *NEEDED.get(output_format, ())):
        if find_spec(package) is None:
            extra = EXTRAS.get(package, "bulk")
            raise click.ClickException(f"this needs {package}: {install(extra)}")
    if ray_address and engine != "ray":
        raise click.UsageError("--ray-address is for --engine ray")
    with guarded():
        settings, _ = load_settings(flags)
        from serve.commands.bulk.inputs.schema import Columns
        from serve.commands.bulk.job import Asked
        from serve.commands.bulk.run import How, run
        from serve.commands.tables.errors import JobError

        try:
            columns = Columns.named(url_column, text_column, id_column)
        except JobError as exc:
            raise click.UsageError(str(exc)) from exc
        asked = Asked(
            inputs, output, columns, dtype, rows_per_part, per_host, retry_failed, previous,
            output_format,
        )  # fmt: skip
        run(settings, asked, How(engine, ray_address, price_per_hour), as_json=as_json)

"""The command `train`. Imports little, so that `--help` is fast."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click

from model.errors import install
from serve import settings as declared
from serve.commands.signals import guarded
from serve.commands.train.job.folder import PLATFORM, Folder
from serve.commands.train.stopping import UNBEGUN
from serve.options import FiniteRange, Writable, load_settings, with_settings

# The settings of `serve` that apply to the base and to how images are fetched and decoded.
ONLY = (
    "model", "preprocess", "preprocess_processes", "decode_threads", "io_threads", "deadline_ms",
    "connect_timeout_ms", "fetch_timeout_ms", "allow_host", "only_host", "deny_host",
    "allow_bucket", "user_agent", "max_items_in_flight", "max_image_bytes", "max_image_pixels",
)  # fmt: skip
PACKAGES = ("pyarrow", "accelerate", "peft")
ABOVE_0 = FiniteRange(min=0, min_open=True)


class _Train(click.Command):
    """Without any words, runs the job of SageMaker's folder where there is one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        if not args and Folder(PLATFORM).config.is_dir():
            from serve.commands.train.job.run import run

            with guarded(UNBEGUN):
                ctx.exit(run(self, PLATFORM))
        return super().parse_args(ctx, args)


@click.command(cls=_Train)
@click.option("--data", multiple=True, required=True,
              help="pairs: a table, folder, tar, glob or s3://; may be repeated")  # fmt: skip
@click.option("-o", "--output", required=True, type=Writable(file_okay=False),
              help="a new folder for the artifact")  # fmt: skip
@click.option("--validation", multiple=True,
              help="pairs to compare on  [default: a tenth of --data, by group]")  # fmt: skip
@click.option("--forgetting", multiple=True,
              help="pairs of the base's own task, to see what it forgets")  # fmt: skip
@click.option("--image-column", help="of URLs and paths  [default: image, url or file_name]")
@click.option("--text-column", help="of texts or lists of them  [default: text, caption, captions]")
@click.option("--group-column", help="rows of one group are never on both sides of the split")
@click.option("--max-bad", type=FiniteRange(0, 100), default=5.0, show_default=True,
              help="percent of rows that may be bad")  # fmt: skip
@click.option("--lora", type=click.IntRange(1, 1024), metavar="RANK",
              help="train branches of this rank, not the weights")  # fmt: skip
@click.option("--freeze", type=click.Choice(["image", "text"]), help="the tower that stays")
@click.option("--last-blocks", type=click.IntRange(1), help="train only these of each tower")
@click.option("--epochs", type=click.IntRange(1), help="[default: by the number of pairs]")
@click.option("--learning-rate", type=ABOVE_0, help="the highest  [default: by the base]")
@click.option("--warm-up", type=FiniteRange(0, 1), help="share of the steps  [default: 0.1]")
@click.option("--weight-decay", type=FiniteRange(0), help="[default: 0.1, and 0 with --lora]")
@click.option("--batch-size", type=click.IntRange(2, 65_536),
              help="pairs that compete  [default: by the number of pairs]")  # fmt: skip
@click.option("--chunk-size", type=click.IntRange(1, 65_536),
              help="pairs of a batch in memory at once  [default: by the base]")  # fmt: skip
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]),
              help="of the training  [default: float32]")  # fmt: skip
@click.option("--no-augment", is_flag=True, help="do not shift the pictures")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="[default: 0]")
@click.option("--interpolate", type=FiniteRange(0, 1),
              help="share of the tuned weights, the rest are the base's  [default: 1]")  # fmt: skip
@click.option("--sweep", is_flag=True,
              help="also measure shares from 0 to 1 of the tuned weights")  # fmt: skip
@click.option("--keep-worse", is_flag=True, help="write it even if it finds less than the base")
@click.option("--work", type=Writable(file_okay=False),
              help="folder of pixels and checkpoints, kept for other runs  "
              "[default: OUTPUT.training, removed at the end]")  # fmt: skip
@click.option("--checkpoints", type=Writable(file_okay=False),
              help="folder of checkpoints alone  [default: in --work]")  # fmt: skip
@click.option("--report", type=Writable(dir_okay=False), help="write an HTML page")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@with_settings(without=[one.name for one in declared.fields() if one.name not in ONLY])
def train(**given: Any) -> None:
    """Fine-tune a checkpoint on pairs of image and text.

    Pairs are rows of Parquet, JSON Lines or CSV, a folder with metadata.jsonl, or WebDataset tars.
    Images are fetched and decoded as in serving, once. The same command again goes on where it was
    interrupted. Nothing is written that finds less than the base.

    \b
    Examples:
      sweetspot train --data pairs.jsonl -o ./designs --group-column file
      sweetspot train --model openai/clip-vit-base-patch32 --data ./screens -o ./designs --lora 16
      sweetspot train --data s3://bucket/shards/ -o ./designs --allow-bucket bucket
      sweetspot train --data pairs.csv --validation held-out.csv -o ./designs --report page.html
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            raise click.ClickException(f"this needs {package}: {install('train')}")
    with guarded(UNBEGUN):
        settings, _ = load_settings({name: given.pop(name) for name in ONLY})
        from serve.commands.train.asked import Asked
        from serve.commands.train.data.columns import Columns
        from serve.commands.train.run import run

        data, validation, forgetting = map(given.pop, ("data", "validation", "forgetting"))
        columns = Columns(*(given.pop(f"{one}_column") for one in ("image", "text", "group")))
        places = {name: given.pop(name) for name in ("output", "work", "checkpoints", "report")}
        how = {name: given.pop(name) for name in ("max_bad", "as_json")}
        options = _options(given)
        asked = Asked(data, validation, forgetting, columns, **places, **how, options=options)
        code = run(settings, asked)
    raise SystemExit(code)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the training that were given, by their names in `TrainOptions`."""
    frozen, plain = given.pop("freeze"), given.pop("no_augment")
    found = {name: one for name, one in given.items() if one is not None and one is not False}
    if frozen:
        found["what"] = "text" if frozen == "image" else "image"
    if plain:
        found["augment"] = False
    return found

"""`sweetspot deploy artifact`: pack a checkpoint, and upload it to S3."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy import aws
from deploy.artifact import Artifact, ArtifactError, contents, write
from deploy.template import environment, names
from model.checkpoints import checkpoint
from model.errors import CheckpointError

if TYPE_CHECKING:
    from rich.progress import Progress


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="[NAME=]FOLDER",
    help="a checkpoint, or builtin; repeat with names to pack several into one artifact",
)
@click.option(
    "--quantized",
    type=click.Path(file_okay=False),
    help="output of `sweetspot quantize` for the same checkpoint: use its openvino/ graphs",
)
@click.option(
    "--profile",
    "profile_file",
    type=click.Path(dir_okay=False),
    help="a sweetspot.json, instead of the checkpoint's own",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), default="model.tar.gz", show_default=True
)
@click.option("--upload", help="s3://bucket/key.tar.gz")
@click.option("--json", "as_json", is_flag=True, help="print what was written as JSON")
def artifact(
    *, models: tuple[str, ...], quantized: str | None, profile_file: str | None, output: str,
    upload: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Pack a checkpoint as model.tar.gz, check it, and upload it.

    The artifact is opened as the server would open it, before it replaces an earlier one.

    \b
    Examples:
      sweetspot deploy artifact --model ./checkpoint --upload s3://BUCKET/designs/model.tar.gz
      sweetspot deploy artifact --model ./checkpoint --quantized ./int8 --profile sweetspot.json
      sweetspot deploy artifact --model designs=./a --model components=./b -o both.tar.gz
    """
    if upload is not None:
        _check_upload(upload)
    folders = _folders(models)
    if "" not in folders and (quantized or profile_file):
        raise ArtifactError("--quantized and --profile need a single --model without a name")
    files = contents(folders, _path(quantized), _path(profile_file))
    written = _write(folders, files, Path(output))
    if upload is not None:
        _upload(written, upload)
    if as_json:
        click.echo(json.dumps(asdict(written) | {"uploaded": upload}))
        return
    click.echo(f"{upload or written.path}: {len(files)} files, {written.size / 1e6:,.1f} MB")
    if "" not in folders:
        flags = " ".join(f"--model-folder {name}" for name in folders)
        click.echo(f"deploy it with {flags}")


def _check_upload(uri: str) -> None:
    names.parse_uri(uri, "--upload")
    if not uri.endswith(".tar.gz"):
        raise ArtifactError(f"--upload {uri}: SageMaker unpacks only a .tar.gz")


def _folders(models: tuple[str, ...]) -> dict[str, Path]:
    """Return checkpoints by folder in the artifact; `""` for a single one without a name."""
    found: list[tuple[str, str]] = []
    for model in models:
        name, equals, folder = model.partition("=")
        named = bool(equals) and not Path(model).is_dir()
        found.append((name, folder) if named else ("", model))
    given = [name for name, _ in found]
    if "" in given and len(found) > 1:
        raise ArtifactError("several --model need a name each: --model designs=./a")
    if "" not in given:
        # Raises for an invalid folder name, as `render` would.
        environment.of(name="", buckets=(), models=given, timeout_s=None, in_batch=False)
    return {name: _locate(folder) for name, folder in found}


def _locate(model: str) -> Path:
    try:
        found = checkpoint.locate(model)
    except CheckpointError as exc:
        raise ArtifactError(str(exc)) from exc
    if isinstance(found, str):
        raise ArtifactError(
            f"{model} is not a folder; `sweetspot export --model {model} -o FOLDER` creates one"
        )
    return found


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _write(folders: dict[str, Path], files: dict[str, Path], output: Path) -> Artifact:
    total = sum(path.stat().st_size for path in files.values())
    with _bar() as bar:
        task = bar.add_task("packed", total=total)
        return write(folders, files, output, lambda count: bar.advance(task, count))


def _upload(written: Artifact, uri: str) -> None:
    from boto3.exceptions import S3UploadFailedError

    bucket, key = names.parse_uri(uri, "--upload")
    s3 = aws.client("s3")
    try:
        with aws.in_plain_words(f"{uri}: not uploaded"), _bar() as bar:
            task = bar.add_task("uploaded", total=written.size)
            s3.upload_file(
                written.path, bucket, key, Callback=lambda count: bar.advance(task, count)
            )
    except S3UploadFailedError as exc:
        raise ArtifactError(f"{uri}: not uploaded: {exc}") from exc


def _bar() -> Progress:
    from rich.progress import BarColumn, DownloadColumn, TextColumn

    from serve.observe.bars import on_terminal

    return on_terminal(TextColumn("{task.description}"), BarColumn(20), DownloadColumn())

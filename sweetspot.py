"""The command `sweetspot`: composes the commands of the packages, which import what they need."""

from __future__ import annotations

import click

from deploy.cli import deploy
from serve import cli


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sweetspot")
def main() -> None:
    """Batches of thumbnail URLs, images and texts in; CLIP embeddings in one space out."""


for command in (*cli.COMMANDS, deploy):
    main.add_command(command)

if __name__ == "__main__":
    main()

"""The command `sweetspot`: one group of the commands of all packages."""

from __future__ import annotations

import click

from deploy.cli import deploy
from serve import cli


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sweetspot")
def main() -> None:
    """Turn batches of thumbnail URLs, images and texts into CLIP embeddings in one space."""


for command in (*cli.COMMANDS, deploy):
    main.add_command(command)

if __name__ == "__main__":
    main()

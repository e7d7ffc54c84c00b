"""The command `sweetspot`, and the client for applications: `from sweetspot import Client`.

Each is imported when it is first asked for, since an application has no need of the command.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from deploy.client import (
        Client,
        Embedded,
        EndpointError,
        Failed,
        FingerprintChanged,
        Patience,
        Result,
    )

    main: click.Group

__all__ = [
    "Client", "Embedded", "EndpointError", "Failed", "FingerprintChanged", "Patience", "Result",
    "main",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return the command as `main`, or a name of the client (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "main":
        return _command()
    from deploy import client

    return getattr(client, name)


@cache
def _command() -> click.Group:
    """Return the commands of all packages in one group."""
    import click

    from model.errors import DISTRIBUTION
    from serve import cli

    class Every(cli.Commands):
        """Imports the commands of `deploy` for nobody but who asks for them."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            """See click."""
            return sorted([*super().list_commands(ctx), "deploy"])

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            """See click."""
            if cmd_name != "deploy":
                return super().get_command(ctx, cmd_name)
            from deploy.cli import deploy

            return deploy

    @click.group(cls=Every, context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(package_name=DISTRIBUTION)
    def main() -> None:
        """Turn batches of thumbnail URLs, images and texts into CLIP embeddings in one space."""

    for command in cli.COMMANDS:
        main.add_command(command)
    return main


if __name__ == "__main__":
    _command()()

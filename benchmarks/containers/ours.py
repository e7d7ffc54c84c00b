"""Variants of Sweetspot, in VARIANTS.

The benchmarks leave out a variant whose options this version does not know, with its error.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.containers.container import EXACT, Container, Site


@dataclass(frozen=True)
class Variant:
    """A way to run `sweetspot serve`.

    words: a description. options: of `serve`, and of `benchmark encoder`, which tunes it first.
    made_by: a `sweetspot` command that makes the folder `{folder}` from the checkpoint
    `{model}`; a command without `{model}` runs on a copy of the checkpoint.
    tuned: whether the folder gets a profile. min_cosine, imports: see Container.
    """

    words: str
    options: tuple[str, ...] = ()
    made_by: tuple[str, ...] = ()
    tuned: bool = True
    min_cosine: float = EXACT
    imports: str = (
        "import serve.http.app, serve.http.service, "
        "model.backends.openvino_encoder, model.images.resize"
    )


EXPORT = ("export", "--model", "{model}", "-o", "{folder}")
QUANTIZE = ("quantize", "--model", "{model}", "-o", "{folder}")

VARIANTS = {
    "sweetspot": Variant("sweetspot serve, float32, exported", made_by=EXPORT),
    "sweetspot-int8": Variant("... quantized", made_by=QUANTIZE, min_cosine=0.99),
    "sweetspot-bfloat16": Variant(
        "... in bfloat16", ("--precision", "bfloat16"), made_by=EXPORT, min_cosine=0.999
    ),
    "sweetspot-torch": Variant(
        "... by torch in float32",
        ("--backend", "torch"),
        imports="import serve.http.app, serve.http.service, model.backends.torch_encoder",
    ),
    "sweetspot-cold": Variant("... a bare checkpoint, without a profile", tuned=False),
}


def container(name: str) -> Container:
    """Make the container of a variant."""
    variant = VARIANTS[name]

    def command(site: Site) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(site.port), "--allow-host", "127.0.0.1"]
        serve = [str(site.python), "-m", "sweetspot", "serve", "--model", str(site.model)]
        return [*serve, *where, *variant.options]

    return Container(
        name=name,
        words=variant.words,
        command=command,
        # Do not use an older profile of the user's cache folder.
        environ=lambda site: {"XDG_CACHE_HOME": str(site.model.parent / "no-cache")},
        answer=lambda answer: [one.get("embedding") for one in answer["results"]],
        min_cosine=variant.min_cosine,
        imports=variant.imports,
    )

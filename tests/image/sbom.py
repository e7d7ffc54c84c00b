"""What the image is made of: Python and Debian packages, scripts of reports, as CycloneDX."""

import json
import re

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from model.files import write_whole
from serve.benchmark.report.page import DRAWING
from tests.image.engine import IMAGE, MEMORY, engine

FOLDERS = ("/srv/packages", "/srv/app")
DPKG_FORMAT = "${Package} ${Version} ${Architecture}\\n"


def bill() -> str:
    """CycloneDX 1.6, JSON."""
    labels = json.loads(engine("inspect", IMAGE))[0]["Config"]["Labels"]
    bom = Bom(components=[*_python(), *_debian(), *scripts()])
    image = bom.metadata.component = Component(
        name="sweetspot",
        version=labels["org.opencontainers.image.version"],
        type=ComponentType.CONTAINER,
        bom_ref="image",
    )
    bom.register_dependency(image, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _python():
    for folder in FOLDERS:
        shown = _inside("python", "-m", "pip", "inspect", "--path", folder)
        for one in json.loads(shown)["installed"]:
            said = one["metadata"]
            yield _library("pypi", said["name"].lower(), said["version"], said.get("summary"))


def _debian():
    for line in _inside("dpkg-query", "-W", "-f", DPKG_FORMAT).splitlines():
        name, version, architecture = line.split()
        yield _library("deb", name, version, None, "debian", {"arch": architecture})


def scripts():
    """The scripts of reports; their first lines say the versions."""
    for file, namespace, name in (
        ("d3.min.js", None, "d3"),
        ("plot.umd.min.js", "@observablehq", "plot"),
    ):
        with (DRAWING / file).open(encoding="utf-8") as lines:
            (version,) = re.findall(r" v([\d.]+) Copyright", next(lines))
        yield _library("npm", name, version, None, namespace)


def _library(kind, name, version, summary, namespace=None, qualifiers=None):
    url = PackageURL(kind, namespace, name, version, qualifiers)
    return Component(
        name=name, version=version, description=summary, purl=url, bom_ref=url.to_string()
    )


def _inside(program, *arguments):
    return engine("run", "--rm", *MEMORY, "--entrypoint", program, IMAGE, *arguments)


if __name__ == "__main__":
    write_whole("sbom.json", bill() + "\n")

"""The manifests beside docs/image.md: fields of their APIs, settings that load, times that fit."""

from pathlib import Path

import pytest
import yaml

from serve.settings import load

DOCS = Path(__file__).parents[2] / "docs"
(SERVICE,) = yaml.safe_load((DOCS / "compose.yaml").read_text())["services"].values()
DEPLOYMENT, INSIDE = yaml.safe_load_all((DOCS / "kubernetes.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
PROBES = [CONTAINER[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
# The service answers what it accepted within this time of SIGTERM (docs/architecture.md).
DRAIN_S = 25
# Of the Compose specification, and of Kubernetes 1.27 to 1.37, as far as the files use them.
COMPOSE_FIELDS = {
    "cap_drop", "deploy", "environment", "image", "ports", "read_only", "restart",
    "security_opt", "stop_grace_period", "tmpfs", "user",
}  # fmt: skip
DEPLOYMENT_FIELDS = {"replicas", "selector", "strategy", "template"}
POD_FIELDS = {
    "automountServiceAccountToken", "containers", "enableServiceLinks", "securityContext",
    "terminationGracePeriodSeconds", "volumes",
}  # fmt: skip
CONTAINER_FIELDS = {
    "args", "env", "image", "lifecycle", "livenessProbe", "name", "ports", "readinessProbe",
    "resources", "securityContext", "startupProbe", "volumeMounts",
}  # fmt: skip
PROBE_FIELDS = {"failureThreshold", "httpGet", "periodSeconds", "timeoutSeconds"}


def test_the_fields_are_those_of_the_specifications():
    assert SERVICE.keys() <= COMPOSE_FIELDS
    assert (DEPLOYMENT["apiVersion"], DEPLOYMENT["kind"]) == ("apps/v1", "Deployment")
    assert (INSIDE["apiVersion"], INSIDE["kind"]) == ("v1", "Service")
    assert DEPLOYMENT["spec"].keys() <= DEPLOYMENT_FIELDS
    assert POD.keys() <= POD_FIELDS
    assert CONTAINER.keys() <= CONTAINER_FIELDS
    assert all(probe.keys() <= PROBE_FIELDS for probe in PROBES)


@pytest.mark.parametrize(
    "environ",
    [SERVICE["environment"], {one["name"]: one["value"] for one in CONTAINER["env"]}],
    ids=["compose", "kubernetes"],
)
def test_the_settings_load_and_leave_the_port_that_is_published(environ):
    settings, sources = load(environ=environ)
    assert set(environ) <= set(sources.values())
    assert f"127.0.0.1:{settings.port}:{settings.port}" in SERVICE["ports"]
    assert [one["containerPort"] for one in CONTAINER["ports"]] == [settings.port]
    assert [one["port"] for one in INSIDE["spec"]["ports"]] == [settings.port]


def test_accepted_requests_are_answered_before_the_end():
    assert int(SERVICE["stop_grace_period"].removesuffix("s")) > DRAIN_S
    _, seconds = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert POD["terminationGracePeriodSeconds"] > int(seconds) + DRAIN_S


def test_names_lead_to_each_other():
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert INSIDE["spec"]["selector"].items() <= labels.items()
    names = {one["name"] for one in CONTAINER["ports"]}
    assert {one["targetPort"] for one in INSIDE["spec"]["ports"]} <= names
    assert {probe["httpGet"]["port"] for probe in PROBES} <= names
    assert {probe["httpGet"]["path"] for probe in PROBES} == {"/ping"}
    assert {one["name"] for one in CONTAINER["volumeMounts"]} == {
        one["name"] for one in POD["volumes"]
    }


def test_they_run_as_the_page_says():
    """Without root, capabilities, and a root file system that can be written; only /tmp can."""
    page = (DOCS / "image.md").read_text()
    assert "--user 10001 --read-only --tmpfs /tmp --cap-drop all" in page
    assert (SERVICE["user"], SERVICE["read_only"]) == ("10001", True)
    assert (SERVICE["tmpfs"], SERVICE["cap_drop"]) == (["/tmp"], ["ALL"])
    assert (POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsNonRoot"]) == (
        10001, True,
    )  # fmt: skip
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [one["mountPath"] for one in CONTAINER["volumeMounts"]] == ["/tmp"]
    assert CONTAINER["resources"]["limits"] == CONTAINER["resources"]["requests"]

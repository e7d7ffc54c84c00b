"""The manifest for KubeRay has the fields of its API, and runs the page's command."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
MANIFEST = yaml.safe_load((ROOT / "docs" / "kuberay.yaml").read_text())
# The fields of ray.io/v1, as KubeRay's API reference lists them.
JOB = {
    "activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint",
    "entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "jobId", "managedBy",
    "metadata", "rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes", "submissionMode",
    "submitterConfig", "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished",
}  # fmt: skip
CLUSTER = {
    "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec",
    "headServiceAnnotations", "managedBy", "rayVersion", "suspend", "workerGroupSpecs",
}  # fmt: skip
HEAD = {"enableIngress", "headService", "rayStartParams", "serviceType", "template"}
WORKERS = {
    "groupName", "idleTimeoutSeconds", "maxReplicas", "minReplicas", "numOfHosts",
    "rayStartParams", "replicas", "scaleStrategy", "suspend", "template",
}  # fmt: skip
# Of a pod and of a container, as far as the manifest uses them.
POD = {"containers", "serviceAccountName", "tolerations"}
CONTAINER = {"image", "name", "resources"}


def test_the_fields_are_those_of_the_api():
    assert (MANIFEST["apiVersion"], MANIFEST["kind"]) == ("ray.io/v1", "RayJob")
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,40}", MANIFEST["metadata"]["name"])
    spec = MANIFEST["spec"]
    cluster = spec["rayClusterSpec"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    for found, known in ((spec, JOB), (cluster, CLUSTER), (head, HEAD), (workers, WORKERS)):
        assert found.keys() <= known
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    for group in (head, workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        assert pod.keys() <= POD
        (container,) = pod["containers"]
        assert container.keys() == CONTAINER
        # Ray counts a pod's CPUs by its limits.
        assert container["resources"]["limits"] == container["resources"]["requests"]


def test_it_runs_the_command_of_the_page():
    page = (ROOT / "docs" / "bulk.md").read_text()
    assert f"    {MANIFEST['spec']['entrypoint']}\n" in page


def test_its_ray_is_the_one_that_is_tested():
    (version,) = re.findall(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    cluster = MANIFEST["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == version
    images = [
        group["template"]["spec"]["containers"][0]["image"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    ]
    assert all(image.endswith(f":{version}") for image in images)

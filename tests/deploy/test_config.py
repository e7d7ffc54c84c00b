"""What AWS or the service would refuse later is refused at once, in plain words."""

from dataclasses import replace

import pytest

from deploy.errors import ConfigError
from deploy.template import capacity
from deploy.template.config import Config, Network, Objects, Serverless
from inference.profile.profile import Match, MeasuredPoint, Profile, Threads, TowerProfile
from tests.deploy.configs import IMAGE, KINDS, OBJECTS, SUBNETS, VPC

WRONG = [
    ({"name": "my_designs"}, "a name has up to 54 letters"),
    ({"name": "1st"}, "a letter first"),
    ({"name": "a" * 55}, "a name has up to 54 letters"),
    ({"name": "-".join("a" * 28)}, "a name has up to 54 letters"),
    ({"image": "sweetspot:cpu"}, "must be an image of ECR"),
    ({"image": IMAGE.removesuffix(":cpu")}, "with its tag or digest"),
    ({"artifact": "./model.tar.gz"}, "must be in S3"),
    ({"artifact": "s3://models/model.zip"}, "unpacks only a .tar.gz"),
    ({"artifact": "s3://models"}, "must look like s3://bucket/key"),
    ({"artifact": "s3://YOUR-MODELS/model.tar.gz"}, "bucket's name has 3 to 63 lower-case"),
    ({"models": ("designs",)}, "give --artifact, too"),
    ({"models": ("a/b",), "artifact": "s3://models/m.tar.gz"}, "letters, digits"),
    ({"models": ("a", "a"), "artifact": "s3://models/m.tar.gz"}, "twice"),
    ({"buckets": ("*",)}, "name each one"),
    ({"instance_type": "c7i.xlarge"}, "must look like ml.c7i.xlarge"),
    ({"instance_type": "ml.inf2.xlarge"}, "only CPUs and NVIDIA GPUs"),
    ({"instances_min": 0}, "only async scales to zero"),
    ({"instances_min": 5}, "the first at most the second"),
    ({"instances_max": 1000}, "to 100"),
    ({"concurrency": 0.0}, "from 0.1 to 1000"),
    ({"timeout_s": 900}, "always has 60 s"),
    ({"latency_alarm_ms": 0}, "--latency-alarm-ms 0"),
    ({"alarm_topic": "trouble"}, "must be the ARN of an SNS topic"),
    ({"objects": OBJECTS}, "not realtime"),
    ({"mode": "async"}, "--input is missing"),
    ({"mode": "async", "objects": Objects("s3://jobs/in/", "jobs")}, "--output jobs"),
    ({"mode": "async", "objects": OBJECTS, "timeout_s": 3601}, "from 1 to 3600"),
    ({"mode": "async", "objects": OBJECTS, "instances_min": 0, "instances_max": 0}, "ever run"),
    ({"mode": "transform", "objects": replace(OBJECTS, error_topic="x")}, "must be the ARN"),
    ({"network": Network(SUBNETS)}, "either --security-group, or --vpc"),
    ({"network": Network(SUBNETS, ("sg-0123456789abcdef0",), VPC)}, "either"),
    ({"network": Network((), (), VPC)}, "from 1 to 16 subnets"),
    ({"network": Network(("subnet",), (), VPC)}, "must look like subnet-"),
    ({"variables": {"SWEETSPOT_BATCH_SIZE": "many"}}, "SWEETSPOT_BATCH_SIZE=many: must be auto"),
    ({"variables": {"SWEETSPOT_BACH_SIZE": "8"}}, "no such setting"),
    ({"variables": {"NOTE": "x" * 2000}}, "1024 bytes"),
    ({"variables": {"MY NOTE": "x"}}, "not the name of a variable"),
    ({"mode": "serverless", "network": Network(SUBNETS, (), VPC)}, "cannot be in a VPC"),
    ({"mode": "serverless", "instance_type": "ml.g5.xlarge"}, "no GPUs"),
    ({"mode": "serverless", "serverless": Serverless(5000)}, "--memory-mb 5000"),
    ({"mode": "serverless", "serverless": Serverless(1024, 201)}, "from 1 to 200"),
    ({"mode": "multi"}, "must be one of realtime"),
]


@pytest.mark.parametrize(("flags", "words"), WRONG, ids=lambda one: str(one)[:50])
def test_what_cannot_be_is_refused_in_plain_words(flags, words):
    with pytest.raises(ConfigError) as refused:
        Config(**{"name": "designs", "image": IMAGE} | flags)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 300 or "x" * 200 in str(refused.value)


@pytest.mark.parametrize(
    ("instance_type", "cuda", "mode", "why"),
    [
        ("ml.p3.2xlarge", "13.0", "realtime", "compute capability 7.0"),
        ("ml.p2.xlarge", "12.4", "realtime", "compute capability 3.7"),
        ("ml.g5.xlarge", "13.0", "transform", "driver of batch transform is 535"),
        ("ml.g5.xlarge", "11.8", "realtime", "CUDA 12 or 13"),
        ("ml.g5.xlarge", "new", "realtime", "CUDA 12 or 13"),
    ],
)
def test_a_gpu_and_a_cuda_that_do_not_go_together_are_refused(instance_type, cuda, mode, why):
    objects = OBJECTS if mode == "transform" else Objects()
    with pytest.raises(ConfigError, match=why):
        Config("designs", IMAGE, mode=mode, instance_type=instance_type, cuda=cuda, objects=objects)


@pytest.mark.parametrize("instance_type", ["ml.g4dn.xlarge", "ml.g5.xlarge", "ml.p6-b200.48xlarge"])
def test_the_driver_is_new_enough_for_the_cuda_of_the_image(instance_type):
    config = Config("designs", IMAGE, instance_type=instance_type)
    assert config.machine_image == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert Config("designs", IMAGE).machine_image is None


def test_what_was_asked_for_goes_before_what_follows():
    config = replace(KINDS["async"], variables={"SWEETSPOT_DEADLINE_MS": "1000"})
    assert config.environment["SWEETSPOT_DEADLINE_MS"] == "1000"
    assert KINDS["async"].environment["SWEETSPOT_DEADLINE_MS"] == "855000"


def _profile(device="cpu", size=16, streams=2, ms=200.0):
    points = (MeasuredPoint(1, ms / size, ms / size), MeasuredPoint(size, ms, ms))
    tower = TowerProfile(size, "knee", 1.0, 1.0, points)
    match = Match("Xeon", 4, device, "4f0c", "openvino", "int8")
    return Profile(match, Threads(2, streams, 2, 32), tower, tower)


def test_the_target_is_what_fills_the_sweet_spot_and_a_little_less():
    # 64 images in and before the encoder, 160 a second of which 48 are being fetched.
    assert capacity.concurrency([_profile()], gpu=False, items=1) == 78.4
    assert capacity.concurrency([_profile()], gpu=False, items=None) == 4.9
    assert capacity.concurrency([_profile()], gpu=False, items=50_000) == 1.0


def test_the_target_is_by_the_profile_of_such_a_device():
    slow, fast = _profile(), _profile("cuda", 64, 1, 100.0)
    assert capacity.concurrency([slow, fast], gpu=True, items=64) == 3.5
    with pytest.raises(ConfigError, match="kind cuda"):
        capacity.concurrency([slow], gpu=True, items=1)

"""Deployments: one of each kind, and any."""

import re
from string import ascii_letters, ascii_lowercase, digits

from hypothesis import strategies as st

from deploy.template.config import Config, Network, Objects, Serverless
from deploy.template.training import TrainingJob

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sweetspot:cpu"
ARTIFACT = "s3://models/designs/model.tar.gz"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:trouble"
SUBNETS = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
VPC = "vpc-0123456789abcdef0"
OBJECTS = Objects("s3://jobs/in/", "s3://jobs/out/")

KINDS = {
    "realtime": Config("designs", IMAGE, artifact=ARTIFACT, buckets=("thumbnails",)),
    "realtime-gpu-vpc": Config(
        "designs",
        IMAGE.replace("cpu", "gpu"),
        instance_type="ml.g5.xlarge",
        instances_min=2,
        concurrency=5.6,
        network=Network(SUBNETS, vpc=VPC),
        alarm_topic=TOPIC,
        variables={"SWEETSPOT_PRECISION": "float16"},
    ),
    "async": Config(
        "designs",
        IMAGE,
        mode="async",
        artifact=ARTIFACT,
        models=("designs", "components"),
        instances_min=0,
        objects=Objects("s3://jobs/in/", "s3://jobs/out/", error_topic=TOPIC),
    ),
    "serverless": Config("designs", IMAGE, mode="serverless", artifact=ARTIFACT),
    "transform": Config("designs", IMAGE, mode="transform", artifact=ARTIFACT, objects=OBJECTS),
}

TRAINING = TrainingJob(
    name="designs-1",
    image=IMAGE,
    role="arn:aws:iam::123456789012:role/TrainingExecutionRole",
    channels={"train": "s3://pairs/train/", "model": "s3://models/base/"},
    output="s3://models/",
    instance_type="ml.g5.xlarge",
    instances=2,
    hyperparameters={"lora": "16"},
    variables={"SWEETSPOT_ALLOW_BUCKET": "thumbnails"},
    max_runtime_s=3600,
    max_wait_s=7200,
)

_names = st.builds(
    lambda first, rest: re.sub("-+", "-", first + rest).rstrip("-"),
    st.sampled_from(ascii_letters),
    st.text(ascii_letters + digits + "-", max_size=53),
)
_ends = st.sampled_from(ascii_lowercase + digits)
_buckets = st.lists(
    st.builds(
        "{}{}{}".format,
        _ends,
        st.text(ascii_lowercase + digits + ".-", min_size=1, max_size=20),
        _ends,
    ),
    max_size=3,
    unique=True,
)
_ids = st.integers(0, 16**17 - 1).map("{:017x}".format)
_topics = st.none() | st.just(TOPIC)


@st.composite
def _networks(draw):
    subnets = draw(st.lists(_ids.map("subnet-{}".format), min_size=1, max_size=4, unique=True))
    if draw(st.booleans()):
        return Network(tuple(subnets), vpc="vpc-" + draw(_ids))
    groups = draw(st.lists(_ids.map("sg-{}".format), min_size=1, max_size=5, unique=True))
    return Network(tuple(subnets), tuple(groups))


@st.composite
def configs(draw):
    """Any deployment that is not refused."""
    mode = draw(st.sampled_from(["realtime", "async", "serverless", "transform"]))
    s3, topics = mode in {"async", "transform"}, mode == "async"
    low = draw(st.integers(0 if mode == "async" else 1, 5))
    gpus = ["ml.g4dn.xlarge", "ml.g5.xlarge", "ml.p5.48xlarge"]
    types = ["ml.c7i.xlarge", "ml.m5.large"] + gpus * (mode in {"realtime", "async"})
    return Config(
        name=draw(_names),
        image=IMAGE,
        mode=mode,
        artifact=draw(st.none() | st.just(ARTIFACT)),
        instance_type=draw(st.sampled_from(types)),
        instances_min=low,
        instances_max=draw(st.integers(max(1, low), 20)),
        concurrency=draw(st.floats(0.1, 1000)),
        buckets=tuple(draw(_buckets)),
        network=Network() if mode == "serverless" else draw(st.just(Network()) | _networks()),
        serverless=Serverless(1024 * draw(st.integers(1, 6)), draw(st.integers(1, 200))),
        objects=Objects(
            *(("s3://jobs/in/", "s3://jobs/out/") if s3 else (None, None)),
            *((draw(_topics), draw(_topics)) if topics else ()),
        ),
        alarm_topic=draw(_topics),
        latency_alarm_ms=draw(st.integers(1, 3_600_000)),
        timeout_s=draw(st.none() | st.integers(1, 3600)) if s3 else None,
    )

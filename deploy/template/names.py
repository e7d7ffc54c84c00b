"""Names of AWS resources, checked by their form. Pure."""

from __future__ import annotations

import re

from deploy.errors import ConfigError

# An endpoint's name has at most 63 characters; the model's and the configuration's add nine.
_NAME = re.compile(r"(?=.{1,54}$)[A-Za-z](-?[A-Za-z0-9])*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
BUCKET_RULE = "a bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots"
_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com(\.cn)?)/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(:(?P<tag>\w[\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))"
)
_URI = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>.+)")
_TOPIC = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}")
_KEY = re.compile(r"[\w!.()/=+@ -]+")


def parse_image(image: str) -> re.Match[str]:
    """Return the image's account, region, domain, repository, and tag or digest.

    Raises:
        ConfigError: not an image of ECR, the only place SageMaker takes images from.
    """
    found = _IMAGE.fullmatch(image)
    if not found:
        raise ConfigError(
            f"--image {image}: must be an image of ECR with its tag or digest, "
            "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG"
        )
    return found


def parse_uri(uri: str, flag: str) -> tuple[str, str]:
    """`s3://bucket/some/key` -> its bucket and key.

    Raises:
        ConfigError: the URI has another form. flag: named in the message.
    """
    found = _URI.fullmatch(uri)
    if not found or not _KEY.fullmatch(found["key"]):
        raise ConfigError(f"{flag} {uri}: must look like s3://bucket/key")
    if not _BUCKET.fullmatch(found["bucket"]):
        raise ConfigError(f"{flag} {uri}: {BUCKET_RULE}")
    return found["bucket"], found["key"]


def check_name(name: str) -> str:
    """Return the name of a deployment, which is also that of its endpoint and stack.

    Raises:
        ConfigError: AWS would refuse it.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name}: a name has up to 54 letters, digits and single hyphens, a letter first"
        )
    return name


def check_artifact(artifact: str) -> None:
    """Raise ConfigError when SageMaker could not unpack it."""
    if not artifact.startswith("s3://"):
        raise ConfigError(
            f"--artifact {artifact}: must be in S3; "
            "`sweetspot deploy artifact --upload s3://...` puts it there"
        )
    parse_uri(artifact, "--artifact")
    if not artifact.endswith(".tar.gz"):
        raise ConfigError(f"--artifact {artifact}: SageMaker unpacks only a .tar.gz")


def check_bucket(bucket: str) -> None:
    """Raise ConfigError for an invalid bucket name, wildcards included."""
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError(f"--bucket {bucket}: {BUCKET_RULE}; name each one")


def check_topic(topic: str, flag: str) -> None:
    """Raise ConfigError unless it is the ARN of an SNS topic."""
    if not _TOPIC.fullmatch(topic):
        raise ConfigError(f"{flag} {topic}: must be the ARN of an SNS topic")


def check_id(one: str, kind: str, flag: str) -> None:
    """Raise ConfigError unless it is the id of an EC2 resource. kind: `subnet`, `sg` or `vpc`."""
    if not re.fullmatch(kind + r"-([0-9a-f]{8}|[0-9a-f]{17})", one):
        raise ConfigError(f"{flag} {one}: must look like {kind}-0123456789abcdef0")

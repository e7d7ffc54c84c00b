"""Connections of OpenSearch to an endpoint: one of each kind, and any."""

from hypothesis import strategies as st

from deploy.opensearch.config import VECTORS, Connection

FINGERPRINT = "6f7bd1b033484bcf"
ROLE = "arn:aws:iam::123456789012:role/opensearch-designs"
DESIGNS = Connection("designs", "eu-west-1", 128, FINGERPRINT, role_arn=ROLE)

KINDS = {
    "texts-and-images": DESIGNS,
    "texts-only": Connection(
        "designs", "eu-west-1", 128, FINGERPRINT, role_arn=ROLE, texts_only=True
    ),
    "access-keys-float16": Connection(
        "designs", "us-east-1", 512, FINGERPRINT, vectors="float16"
    ),
    "one-of-several-models-byte": Connection(
        "Both-Models", "eu-west-1", 512, FINGERPRINT, model="components", role_arn=ROLE,
        vectors="byte",
    ),
}  # fmt: skip


@st.composite
def connections(draw):
    """Any connection that is not refused."""
    return Connection(
        endpoint=draw(st.from_regex(r"[A-Za-z](-?[A-Za-z0-9]){0,20}", fullmatch=True)),
        region=draw(st.sampled_from(["eu-west-1", "us-gov-west-1", "ap-southeast-4"])),
        dimension=draw(st.integers(1, 16_000)),
        fingerprint=draw(st.from_regex(r"[0-9a-f]{16}", fullmatch=True)),
        model=draw(st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)),
        role_arn=draw(st.none() | st.just(ROLE)),
        texts_only=draw(st.booleans()),
        vectors=draw(st.sampled_from(VECTORS)),
    )

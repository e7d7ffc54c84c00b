"""Which back end and device a configuration settles on, and what is refused."""

import subprocess
import sys

import pytest

from model.backends.cuda.driver import has_bfloat16
from model.config import ModelConfig
from model.errors import CheckpointError
from model.load import PRECISIONS, card_precisions, runnable, settle, suits

NEW_CARD = PRECISIONS["torch", "cuda"]
# Before compute capability 8.0: a T4, a V100.
OLD_CARD = ("float32", "float16")
NO_CARD = ()


@pytest.mark.parametrize(
    ("precision", "card", "suitable"),
    [
        ("auto", NEW_CARD, True),
        ("float32", NEW_CARD, True),
        ("bfloat16", NEW_CARD, True),
        ("float16", NEW_CARD, True),
        ("int8", NEW_CARD, False),
        ("auto", OLD_CARD, True),
        ("float16", OLD_CARD, True),
        ("bfloat16", OLD_CARD, False),
        ("auto", NO_CARD, False),
        ("bfloat16", NO_CARD, False),
    ],
)
def test_auto_takes_the_card_where_it_has_the_precision(precision, card, suitable):
    assert suits(ModelConfig(precision=precision), card) == suitable


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16", "int8"])
def test_without_a_card_auto_is_the_cpu(precision):
    if card_precisions():
        pytest.skip("this machine has a CUDA device")
    assert settle(ModelConfig(precision=precision)).device == "cpu"


def test_int8_runs_on_the_cpu_whatever_the_machine_has():
    assert settle(ModelConfig(precision="int8")).device == "cpu"


def test_auto_on_a_cpu_is_openvino():
    settled = settle(ModelConfig(device="cpu"))
    assert (settled.backend, settled.device) == ("openvino", "cpu")


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16", "float16"])
def test_a_card_runs_torch_in_each_of_its_precisions(precision):
    settled = settle(ModelConfig(device="cuda", precision=precision))
    assert (settled.backend, settled.device) == ("torch", "cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "openvino", "device": "cuda"}, "openvino does not run on device cuda"),
        ({"backend": "torch", "device": "cpu", "precision": "int8"}, "it supports float32"),
        ({"backend": "torch", "device": "cpu", "precision": "bfloat16"}, "it supports float32"),
        ({"device": "cuda", "precision": "int8"}, "it supports float32, bfloat16, float16"),
        ({"backend": "openvino", "precision": "float16"}, "it supports float32, bfloat16, int8"),
    ],
)
def test_what_cannot_run_is_said(options, message):
    with pytest.raises(CheckpointError, match=message):
        settle(ModelConfig(**options))


def test_what_runs_here_is_of_the_table_and_bfloat16_asked_of_its_own_device():
    found = [(one.backend, one.device, one.precision) for one in runnable(ModelConfig("builtin"))]
    assert ("torch", "cpu", "float32") in found
    assert all(precision in PRECISIONS[backend, device] for backend, device, precision in found)
    assert (("torch", "cuda", "bfloat16") in found) == has_bfloat16()


def test_asking_after_a_card_imports_no_openvino():
    """A machine with a card need not have it."""
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from model.load import card_precisions; card_precisions()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

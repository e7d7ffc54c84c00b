"""Tokens of each family: to the token those of transformers, padded and cut as it does."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from model.checkpoints.checkpoint import verify
from model.checkpoints.tokenizer import Tokenizer
from tests.checkpoints import SIGLIP_CONTEXT, make_siglip

SCRIPTS = (
    "login form", "Dunkles Dashboard", "ログイン画面", "экран входа", "شاشة تسجيل", "登录页面",
    "👩‍💻", "🎨🖌️", "&amp;", "&lt;b&gt;", "\t", "  ", "\n", "\u200b", "café", "cafe\u0301",
    "İSTANBUL", "ΣΟΦΟΣ", "</s>", "<unk>", "<eos>", "▁", "a-b_c", "50 %", "{}", "\x00", "ß",
    "ﬁ", "٣",
)  # fmt: skip
# transformers warns of texts that have an end token already.
ENDED = pytest.mark.filterwarnings("ignore:This sequence already has")


def lines(count):
    """Lines of several scripts, emoji, entities and blanks; every tenth is longer than fits."""
    dice = random.Random(0)
    for number in range(count):
        words = dice.choices(SCRIPTS, k=200 if number % 10 == 0 else dice.randint(1, 12))
        yield dice.choice(("", " ")).join(words)


@pytest.fixture(scope="module", params=["siglip", "siglip2"])
def pair(request, tmp_path_factory):
    """Ours, and transformers' own."""
    folder = make_siglip(tmp_path_factory.mktemp("model") / request.param, request.param)
    return Tokenizer.of_checkpoint(verify(folder)), AutoTokenizer.from_pretrained(folder)


def assert_alike(pair, texts):
    ours, theirs = pair
    tokens, lengths = ours(texts)
    options = {"padding": "max_length", "truncation": True, "max_length": SIGLIP_CONTEXT}
    expected = theirs(texts, return_tensors="np", **options)["input_ids"]
    assert np.array_equal(tokens, expected)
    assert list(lengths) == [len(ids) for ids in theirs(texts, verbose=False)["input_ids"]]


@ENDED
def test_a_thousand_lines_of_any_script(pair):
    assert_alike(pair, [line for line in lines(1000) if line.strip()])


@ENDED
@given(texts=st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=5))
def test_any_text(pair, texts):
    assert_alike(pair, texts)


def test_all_texts_have_the_length_of_the_context(pair):
    ours, _ = pair
    assert ours.fixed_length == SIGLIP_CONTEXT
    assert ours(["a"])[0].shape == (1, SIGLIP_CONTEXT)

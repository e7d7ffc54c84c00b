import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.images.preprocess import preprocess
from model.synthetic.attributes import Attributes, combinations, held_out
from model.synthetic.captions import BEFORE, BEHIND, FIELDS, NOUNS, caption, partial_caption
from model.synthetic.screens.devices import DEVICES
from model.synthetic.screens.kinds import KINDS
from model.synthetic.screens.theme import ACCENTS, MODES
from model.synthetic.thumbnails import attributes_of, caption_of, draw, encode, sample

LOGIN = Attributes("login", "blue", "dark", "phone")
any_attributes = st.sampled_from(combinations())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_in_every_mode_on_every_device(kind):
    for mode in MODES:
        for device in DEVICES:
            image = draw(Attributes(kind, "teal", mode, device), seed=3, long_side_px=400)
            assert image.mode == "RGB"
            assert max(image.size) == 400
            assert len(image.getcolors(maxcolors=400 * 400) or ()) > 10


@settings(max_examples=40)
@given(any_attributes, st.integers(0, 2**40), st.integers(400, 1600))
def test_the_same_seed_draws_the_same_picture(attributes, seed, side):
    first, again = draw(attributes, seed, side), draw(attributes, seed, side)
    assert first.tobytes() == again.tobytes()
    assert max(first.size) == side


def test_what_a_sample_shows_is_known_without_drawing_it():
    for seed in range(20):
        drawn = sample(seed)
        assert (attributes_of(seed), caption_of(seed)) == (drawn.attributes, drawn.caption)


def test_another_seed_draws_another_picture_of_the_same_screen():
    first, other = preprocess(encode(draw(LOGIN, 1)), 128), preprocess(encode(draw(LOGIN, 2)), 128)
    assert np.abs(first.astype(int) - other).mean() > 3


def test_a_phone_stands_and_a_desktop_lies():
    for seed in range(10):
        phone = draw(LOGIN, seed, 400)
        desktop = draw(LOGIN._replace(device="desktop"), seed, 400)
        assert phone.height > 1.7 * phone.width
        assert desktop.width > 1.4 * desktop.height


@pytest.mark.parametrize("kind", KINDS)
def test_a_dark_screen_is_darker_than_a_light_one_within_the_crop(kind):
    for device in DEVICES:
        means = [
            np.median(preprocess(encode(draw(Attributes(kind, "red", mode, device), 5)), 64))
            for mode in ("dark", "light")
        ]
        assert means[0] < means[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_accent_is_seen_within_the_crop(kind):
    for device in DEVICES:
        for mode in MODES:
            image = draw(Attributes(kind, "pink", mode, device), 11, 600)
            pixels = preprocess(encode(image, "PNG"), 128).astype(int)
            # Grounds are nearly grey and skins differ by less: only the accent is so pink.
            pink = pixels[:, :, 0] - pixels[:, :, 1] > 60
            assert pink.mean() > 0.004, (device, mode)


def test_about_one_combination_in_ten_is_held_out_and_no_single_value_is():
    everything = combinations()
    unseen = [each for each in everything if held_out(each)]
    assert 0.07 < len(unseen) / len(everything) < 0.13
    for field in FIELDS:
        seen = {getattr(each, field) for each in everything if not held_out(each)}
        assert seen == {getattr(each, field) for each in everything}


def test_the_split_never_changes():
    # A change would let a released checkpoint be tested on what it has seen.
    unseen = [each for each in combinations() if held_out(each)]
    assert len(unseen) == 102
    assert held_out(unseen[0])
    assert "/".join(unseen[0]) == "login/red/dark/phone"


def test_no_word_of_a_caption_stands_for_two_values():
    phrases = [*NOUNS, *ACCENTS]
    phrases += [name for kind in KINDS.values() for name in kind.names]
    for value in BEFORE:
        phrases += {*BEFORE[value], *BEHIND[value]}
    assert len(phrases) == len(set(phrases))


@given(any_attributes, any_attributes, st.integers(), st.integers())
def test_different_attributes_have_different_full_captions(first, second, seed, other):
    same = caption(first, random.Random(seed)) == caption(second, random.Random(other))
    assert first == second or not same


def test_wordings_of_one_screen_vary():
    rng = random.Random(0)
    assert len({caption(LOGIN, rng) for _ in range(200)}) > 150
    assert len({partial_caption(LOGIN, rng) for _ in range(200)}) > 80


def test_a_partial_caption_may_leave_out_all_but_the_kind():
    words = caption(LOGIN, random.Random(4), ["kind"])
    assert any(name in words for name in KINDS["login"].names)
    assert not any(word in words for word in ("blue", "dark", "phone", "mobile"))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_encoded_in_the_format_asked_for(image_format):
    data = encode(draw(LOGIN, 0, 400), image_format, 70)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == image_format


def test_samples_are_the_same_by_seed_and_cover_everything():
    samples = [sample(seed) for seed in range(150)]
    assert samples[7] == sample(7)
    assert {each.mime for each in samples} == {"image/jpeg", "image/png", "image/webp"}
    for field, values in zip(FIELDS, (KINDS, ACCENTS, MODES, DEVICES), strict=True):
        assert {getattr(each.attributes, field) for each in samples} == set(values)

"""Sentences for thumbnails: the same attributes in many wordings."""

from __future__ import annotations

import random
from collections.abc import Collection

from model.synthetic.attributes import Attributes
from model.synthetic.screens.kinds import KINDS

FIELDS = Attributes._fields
# Words that name one attribute, before and behind the noun; no word serves two values.
BEFORE: dict[str, tuple[str, ...]] = {
    "light": ("light", "bright", "light mode", "light theme"),
    "dark": ("dark", "dark mode", "night mode", "dark theme"),
    "phone": ("mobile", "phone", "smartphone"),
    "tablet": ("tablet", "ipad"),
    "desktop": ("desktop", "web", "computer"),
}
BEHIND: dict[str, tuple[str, ...]] = {
    "light": ("in light mode", "light theme", "on a white background", "with a light background"),
    "dark": ("in dark mode", "dark theme", "on a black background", "with a dark background"),
    "phone": ("on a phone", "on mobile", "for smartphones", "mobile"),
    "tablet": ("on a tablet", "on an ipad", "for tablets", "tablet"),
    "desktop": ("on desktop", "in a web browser", "on a computer", "desktop"),
}
COLOUR_BEHIND = ("with {} accents", "in {}", "with {} buttons", "{} accent colour", "{}")
NOUNS = ("screen", "interface", "app screen", "user interface", "page")
OPENINGS = ("", "", "", "a ", "a screenshot of a ", "screenshot of a ", "a thumbnail of a ")


def caption(attributes: Attributes, rng: random.Random, fields: Collection[str] = FIELDS) -> str:
    """Describe a thumbnail by the named fields, by default all four.

    Different attributes give different captions when all fields are named.
    """
    before: list[str] = []
    behind: list[str] = []
    for field in rng.sample(FIELDS[1:], 3):
        if field in fields:
            word = getattr(attributes, field)
            if rng.random() < 0.5:
                before.append(rng.choice(BEFORE.get(word, (word,))))
            else:
                behind.append(_behind(word, rng))
    noun = rng.choice(KINDS[attributes.kind].names if "kind" in fields else NOUNS)
    return _sentence(" ".join([*before, noun]), behind, rng)


def partial_caption(attributes: Attributes, rng: random.Random) -> str:
    """Describe a thumbnail by one to three of its four attributes, most often by its kind."""
    count = rng.randint(1, 3)
    others = rng.sample(FIELDS[1:], count - 1 if rng.random() < 0.8 else count)
    fields = others if len(others) == count else ["kind", *others]
    return caption(attributes, rng, fields)


def _behind(word: str, rng: random.Random) -> str:
    return rng.choice(BEHIND.get(word, COLOUR_BEHIND)).format(word)


def _sentence(subject: str, behind: list[str], rng: random.Random) -> str:
    opening = rng.choice(OPENINGS)
    if opening.endswith("a ") and subject[0] in "aeiou":
        opening = opening[:-1] + "n "
    joint = rng.choice((" ", ", "))
    return opening + joint.join([subject, *behind])

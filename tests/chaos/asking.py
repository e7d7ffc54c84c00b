"""Requests of good and bad items at random: of all sizes and forms, in either lane."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.items import Catalogue, Known, fresh_text

SIZES = (1, 1, 1, 2, 3, 5, 8, 13, 21, 40, 80, 200)
SHORT_FORMS = {"url": "urls", "image": "images", "text": "texts"}
# What a share of the requests has. The largest deadline leaves a worker time to come back.
BAD, DOUBLED, NAMED, HURRIED, ALIKE, STREAMED = 0.2, 0.3, 0.5, 0.15, 0.4, 0.2
ENDING = 0.03
DEADLINES_MS, SHORT_DEADLINES_MS = (8_000, 15_000), (20, 1_000)


@dataclass(frozen=True)
class Ask:
    """A request, and what is known of its answer."""

    items: Sequence[Known]
    ids: Sequence[str | None]
    deadline_ms: int
    body: bytes
    streamed: bool = False


def draw(dice: random.Random, catalogue: Catalogue) -> Ask:
    """One request."""
    items = _items(dice, catalogue)
    ids = [f"item {dice.getrandbits(32):x}" if dice.random() < NAMED else None for _ in items]
    hurried = dice.random() < HURRIED
    parameters: dict[str, Any] = {
        "deadline_ms": dice.randint(*(SHORT_DEADLINES_MS if hurried else DEADLINES_MS)),
        "encoding": dice.choice(("float", "base64")),
        "stream": dice.random() < STREAMED,
    }
    if dice.random() < 0.5:
        parameters["lane"] = dice.choice(("interactive", "bulk"))
    if len({item.form for item in items}) == 1 and dice.random() < 0.5:
        ids = [None] * len(items)
        form = items[0].form
        body = {form: items[0].value} if len(items) == 1 else _short(items, form)
    else:
        body = {"inputs": [_input(*one) for one in zip(items, ids, strict=True)]}
    return Ask(
        items,
        ids,
        parameters["deadline_ms"],
        json.dumps(body | {"parameters": parameters}).encode(),
        parameters["stream"],
    )


def everything(catalogue: Catalogue) -> Ask:
    """All good and bad items in one request, in which nothing is late."""
    items = [*catalogue.good, *catalogue.bad, *catalogue.ending]
    ids = [str(number) for number in range(len(items))]
    body = {
        "inputs": [_input(*one) for one in zip(items, ids, strict=True)],
        "parameters": {"deadline_ms": 60_000},
    }
    return Ask(items, ids, 60_000, json.dumps(body).encode())


def _items(dice: random.Random, catalogue: Catalogue) -> list[Known]:
    good, bad = catalogue.good, catalogue.bad
    if dice.random() < ALIKE:
        form = dice.choice(tuple(SHORT_FORMS))
        good, bad = ([one for one in some if one.form == form] for some in (good, bad))
    items = [_item(dice, good, bad) for _ in range(dice.choice(SIZES))]
    if dice.random() < DOUBLED:
        items += dice.choices(items, k=1 + len(items) // 3)
        dice.shuffle(items)
    if catalogue.ending and dice.random() < ENDING:
        items.insert(dice.randint(0, len(items)), dice.choice(catalogue.ending))
    return items


def _item(dice: random.Random, good: Sequence[Known], bad: Sequence[Known]) -> Known:
    if dice.random() < BAD:
        return dice.choice(bad)
    known = dice.choice(good)
    return fresh_text(dice) if known.form == "text" and dice.random() < 0.5 else known


def _short(items: Sequence[Known], form: str) -> dict[str, Any]:
    return {SHORT_FORMS[form]: [item.value for item in items]}


def _input(item: Known, item_id: str | None) -> dict[str, str]:
    return {item.form: item.value} | ({} if item_id is None else {"id": item_id})

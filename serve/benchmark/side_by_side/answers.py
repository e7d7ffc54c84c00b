"""The best measurement by each question, and what is not comparable. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.profile.curve import TOLERANCE
from inference.profile.price import money
from serve.benchmark.side_by_side.measured import WORDS, Measured, groups


@dataclass(frozen=True)
class Question:
    """words: what is asked. value: of a measurement; None if it does not say. show: the value.

    highest: whether the highest value is the best.
    """

    words: str
    value: Callable[[Measured], float | None]
    show: Callable[[float], str]
    highest: bool = False


FASTEST, CHEAPEST = "most images/s", "lowest price of a million"
QUESTIONS = (
    Question(FASTEST, lambda one: one.images_s, lambda it: f"{it:.1f}", highest=True),
    Question(CHEAPEST, lambda one: one.million, money),
    Question("lowest p95", lambda one: one.p95_ms, lambda it: f"{it:.1f} ms"),
    Question("closest to float32", lambda one: one.cosine, lambda it: f"{it:.5f}", highest=True),
)


@dataclass(frozen=True)
class Answer:
    """The best of a group. equal: others whose value is within 5 %. unknown: those without one."""

    kind: str
    load: str
    question: str
    best: Measured
    value: str
    equal: tuple[str, ...]
    unknown: tuple[str, ...]


def answers(every: Sequence[Measured]) -> list[Answer]:
    """Return the best by each question, in each group of at least two comparable measurements."""
    return [
        answer
        for group in groups(every).values()
        if len(group) > 1
        for question in QUESTIONS
        if (answer := _answer(question, group)) is not None
    ]


def advice(found: Sequence[Answer]) -> str:
    """Return which one to take, by the benchmark that is nearest to an application."""
    if not found:
        return "nothing here is comparable; the reasons are below"
    group = (found[0].kind, found[0].load)
    first = {one.question: one for one in found if (one.kind, one.load) == group}
    cheap, fast = first.get(CHEAPEST), first.get(FASTEST)
    if cheap is not None and fast is not None and cheap.best is fast.best:
        said = f"take {cheap.best.name}: the lowest price, {cheap.value} a million images, and "
        said += f"the most images/s, {fast.value}"
    elif cheap is not None and fast is not None:
        said = f"take {cheap.best.name} for the lowest price, {cheap.value} a million images; "
        said += f"{fast.best.name} for the most images/s, {fast.value}"
    elif fast is not None:
        said = f"take {fast.best.name}: the most images/s, {fast.value}"
    else:
        said = "the answers are below"
    return f"{WORDS[found[0].kind]}: {said}"


def remarks(every: Sequence[Measured]) -> list[str]:
    """Say what is not comparable, and why."""
    found = groups(every)
    said = [f"{one.name} was interrupted: not compared" for one in every if not one.complete]
    if len({kind for kind, _ in found}) > 1:
        said.append("benchmarks of different kinds measure different things: each kind by itself")
    for kind in dict.fromkeys(kind for kind, _ in found):
        loads = {load: group for (one, load), group in found.items() if one == kind}
        if len(loads) > 1:
            each = "; ".join(f"{_names(group)}: {load}" for load, group in loads.items())
            said.append(f"{kind}: other loads are not compared ({each})")
    whole = [one for group in found.values() for one in group]
    said += [
        f"{WORDS[kind]}: each p95 is at its own sweet spot, and these differ"
        for (kind, _), group in found.items()
        if kind in ("encoder", "endpoint") and len({one.spot for one in group}) > 1
    ]
    models = {one.model for one in whole if one.model}
    if len(models) > 1:
        said.append(f"different models, whose embeddings do not mix: {', '.join(sorted(models))}")
    elif len({one.fingerprint for one in whole if one.fingerprint}) > 1:
        said.append("fingerprints differ: do not mix their embeddings in one index")
    unpriced = [one for one in whole if one.million is None]
    if unpriced and len(unpriced) < len(whole):
        said.append(f"without a price: {_names(unpriced)}; measure with --price-per-hour")
    changed = [one for one in every if one.code and one.code.endswith("+")]
    if changed:
        said.append(f"measured with changes that no commit has (+): {_names(changed)}")
    return said


def _answer(question: Question, group: Sequence[Measured]) -> Answer | None:
    known = [(value, one) for one in group if (value := question.value(one)) is not None]
    if len(known) < 2:
        return None
    pick = max if question.highest else min
    value, best = pick(known, key=lambda pair: pair[0])
    return Answer(
        *best.group,
        question.words,
        best,
        question.show(value),
        equal=tuple(one.name for near, one in known if one is not best and _near(near, value)),
        unknown=tuple(one.name for one in group if question.value(one) is None),
    )


def _near(value: float, best: float) -> bool:
    return abs(value - best) <= TOLERANCE * abs(best)


def _names(some: Sequence[Measured]) -> str:
    return ", ".join(one.name for one in some)

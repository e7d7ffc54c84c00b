"""What a run checks, by id: a number is a mutation, a name a hostile file as it is."""

from tests.fuzz.mutate import Case, mutated
from tests.hostile_images import REFUSED, costly

HOSTILE = REFUSED | costly()


def ids(first, count, hostile):
    """Of a run, in order."""
    return [*(HOSTILE if hostile else ()), *range(first, first + count)]


def case(seed, one):
    """The image of that id in a run of that seed."""
    return mutated(seed, one) if isinstance(one, int) else Case(f"hostile.{one}", HOSTILE[one]())

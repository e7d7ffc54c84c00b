"""The loaded models by name, and how many requests use each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference.engine.text_cache import TextCache
from inference.errors import UnknownModel
from model.encoder import Encoder, EncoderSpec


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model. texts: the cache of its text embeddings."""

    encoder: Encoder
    texts: TextCache


class LoadedModels:
    """The loaded models. Thread-safe. The first one is the default unless `announce` sets it."""

    def __init__(self) -> None:
        self._models: dict[str, LoadedModel] = {}
        self._leaving: set[str] = set()
        self._default: str | None = None
        self._absent: dict[str, str] = {}
        self._uses: Counter[str] = Counter()
        self._changed = threading.Condition()

    def announce(self, default: str, absent: Mapping[str, str]) -> None:
        """Set the default model, loaded or not. absent: why each absent model is not loaded."""
        with self._changed:
            self._default, self._absent = default, dict(absent)

    def names(self) -> list[str]:
        """Return the names of the models that accept requests, in the order they were added."""
        with self._changed:
            return self._names()

    def __getitem__(self, name: str) -> LoadedModel:
        """Return a model that the caller has in use. Raises KeyError."""
        return self._models[name]

    def everyone(self) -> dict[str, LoadedModel]:
        """Return all models loaded now."""
        with self._changed:
            return dict(self._models)

    def add(self, name: str, model: LoadedModel) -> None:
        """Add a model; it accepts requests from now on."""
        with self._changed:
            self._models[name] = model

    def specs(self) -> dict[str, EncoderSpec]:
        """Return the spec of each model that accepts requests, by name, in the order added."""
        with self._changed:
            return {name: self._models[name].encoder.spec for name in self._names()}

    def use(self, names: str | Sequence[str]) -> tuple[str, ...]:
        """Keep models loaded until `release`, and return their names.

        Args:
            names: one or several; none means the default alone.

        Raises:
            UnknownModel: one is not loaded, or is being removed.
        """
        with self._changed:
            there = self._names()
            default = there[:1] if self._default is None else [self._default]
            wanted = (names,) if isinstance(names, str) else tuple(names or default)
            for name in wanted or ("default",):
                if name not in there:
                    raise UnknownModel(name, there, self._absent.get(name))
            self._uses.update(wanted)
            return wanted

    def release(self, names: Sequence[str]) -> None:
        """End a use of models that `use` began."""
        with self._changed:
            self._uses.subtract(names)
            self._changed.notify_all()

    def leave(self, name: str) -> None:
        """Accept no more requests for a model, and wait until the running ones end.

        Raises:
            UnknownModel: it is not loaded, or is already being removed.
        """
        with self._changed:
            there = self._names()
            if name not in there:
                raise UnknownModel(name, there)
            self._leaving.add(name)
            self._changed.wait_for(lambda: self._uses[name] <= 0)

    def forget(self, name: str) -> LoadedModel:
        """Remove and return a model after `leave`."""
        with self._changed:
            self._leaving.discard(name)
            del self._uses[name]
            return self._models.pop(name)

    def _names(self) -> list[str]:
        return [name for name in self._models if name not in self._leaving]

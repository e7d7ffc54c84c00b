"""The models that are there, by name, and how many requests use each."""

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
    """A model at work. texts: those it embedded last."""

    encoder: Encoder
    texts: TextCache


class LoadedModels:
    """Safe from many threads. The first model is the default."""

    def __init__(self) -> None:
        self._models: dict[str, LoadedModel] = {}
        self._leaving: set[str] = set()
        self._default: str | None = None
        self._absent: dict[str, str] = {}
        self._uses: Counter[str] = Counter()
        self._changed = threading.Condition()

    def announce(self, default: str, absent: Mapping[str, str]) -> None:
        """Who is the default, also while it is not there; absent: why others are not, by name."""
        with self._changed:
            self._default, self._absent = default, dict(absent)

    def names(self) -> list[str]:
        """Of all that may be asked, in the order they came; the first is the usual default."""
        with self._changed:
            return [name for name in self._models if name not in self._leaving]

    def __getitem__(self, name: str) -> LoadedModel:
        """A model that its caller uses. Raises KeyError."""
        return self._models[name]

    def everyone(self) -> dict[str, LoadedModel]:
        """All of this moment."""
        with self._changed:
            return dict(self._models)

    def add(self, name: str, model: LoadedModel) -> None:
        """From now on it may be asked."""
        with self._changed:
            self._models[name] = model

    def specs(self) -> dict[str, EncoderSpec]:
        """What each announces that may be asked, by its name, in the order they came."""
        models = self.everyone()
        return {name: models[name].encoder.spec for name in self.names() if name in models}

    def use(self, names: str | Sequence[str]) -> tuple[str, ...]:
        """Keep models from leaving until `release`.

        Args:
            names: one, or several; of none, it is the default alone.

        Raises:
            UnknownModel: one is not there, or about to leave.
        """
        with self._changed:
            there = [name for name in self._models if name not in self._leaving]
            default = there[:1] if self._default is None else [self._default]
            wanted = (names,) if isinstance(names, str) else tuple(names or default)
            for name in wanted or ("default",):
                if name not in there:
                    raise UnknownModel(name, there, self._absent.get(name))
            self._uses.update(wanted)
            return wanted

    def release(self, names: Sequence[str]) -> None:
        """The request is over."""
        with self._changed:
            self._uses.subtract(names)
            self._changed.notify_all()

    def leave(self, name: str) -> None:
        """Take no more requests for a model, and wait until those that use it are over.

        Raises:
            UnknownModel: it is not there, or about to leave already.
        """
        with self._changed:
            there = [one for one in self._models if one not in self._leaving]
            if name not in there:
                raise UnknownModel(name, there)
            self._leaving.add(name)
            self._changed.wait_for(lambda: self._uses[name] <= 0)

    def forget(self, name: str) -> LoadedModel:
        """A model that has left."""
        with self._changed:
            self._leaving.discard(name)
            del self._uses[name]
            return self._models.pop(name)

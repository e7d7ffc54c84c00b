"""Pictures that break whoever decodes them, and an encoder whose preprocessing they break."""

import ctypes
import signal
import threading
from dataclasses import dataclass, replace

from model.backends.fake import FakeEncoder
from model.images.preprocess import ImagePreprocessing

# Never decoded; never decoded, and nothing else runs in that process; end their process; a bug.
HANGS, STOPS, CRASHES, KILLS, RAISES = b"hangs", b"stops", b"crashes", b"kills", b"raises"


@dataclass(frozen=True)
class FaultyPreprocessing(ImagePreprocessing):
    def __call__(self, data, *budget):
        kind = data.rstrip(b"0123456789")
        if kind == HANGS:
            threading.Event().wait()
        if kind == STOPS:
            ctypes.PyDLL(None).sleep(3600)  # keeps the interpreter's lock
        if kind == CRASHES:
            signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)
        if kind == KILLS:
            signal.pthread_kill(threading.get_ident(), signal.SIGKILL)
        if kind == RAISES:
            raise KeyError("a bug of ours")
        return super().__call__(data, *budget)


class FaultyEncoder(FakeEncoder):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        usual = self._spec.preprocessing
        faulty = FaultyPreprocessing(usual.geometry, usual.policy, usual.max_pixels, light=True)
        self._spec = replace(self._spec, preprocessing=faulty)

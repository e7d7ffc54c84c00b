"""Where open_clip and the service differ by rule."""

import io

import numpy as np
from PIL import Image


def later_by(data, geometry):
    """How many px later than the service open_clip cuts a picture, across and down.

    Of a margin of 3 px, 7 px and so on torchvision leaves the larger half before the cut, of one
    of 1 px, 5 px and so on the smaller half: Python rounds a half to an even number. transformers
    and the service leave the smaller half always.
    """
    if not isinstance(geometry.resize, int):
        return 0, 0
    with Image.open(io.BytesIO(data)) as image:
        across, down = image.size
    short = min(across, down)
    margins = [int(geometry.resize * one / short) - geometry.size for one in (across, down)]
    return tuple(round(margin / 2) - margin // 2 for margin in margins)


def filled(ids, family):
    """Fill up as the service does. ids: int64 [N, L], zeros after the end of OpenAI's texts.

    A SigLIP's texts are padded by open_clip as by the service.
    """
    if family.pads_texts:
        return ids
    end = ids.max()
    return np.where(np.cumsum(ids == end, axis=1) > 0, end, ids)

"""Screens with one large picture: the music player and the map."""

from __future__ import annotations

from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas
from model.synthetic.screens.parts import DEVICE_MARGIN, photo
from model.synthetic.screens.theme import Colour, mix
from model.synthetic.screens.words import BRANDS, PHRASES, PLACES

PARK: Colour = (128, 150, 128)


def player(canvas: Canvas, box: Box) -> None:
    """A square cover, a progress line, and a large round play button."""
    rng, theme = canvas.rng, canvas.theme
    tall = min(box.height, box.width * 1.5) * 0.92
    body = box.inset(DEVICE_MARGIN[canvas.columns]).middle(min(box.width, tall), tall)
    cover, body = body.cut_top(body.height * rng.uniform(0.52, 0.58))
    photo(canvas, cover.square())
    canvas.fill(cover.square(), None, 0, theme.line, 2)
    size = tall / 24
    canvas.text(
        body.x, body.top + size * 1.1, rng.choice(PHRASES), size * 1.2, anchor="mm", bold=True
    )
    canvas.text(
        body.x, body.top + size * 2.4, rng.choice(BRANDS), size * 0.8, theme.muted, anchor="mm"
    )
    line = Box(body.left + size, body.top + size * 3.4, body.right - size, body.top + size * 3.8)
    done = line.cut_left(line.width * rng.uniform(0.2, 0.8))[0]
    canvas.fill(line, theme.line, size / 4)
    canvas.fill(done, theme.accent, size / 4)
    canvas.circle(done.right, done.y, size * 0.5, theme.accent)
    _player_keys(canvas, body.x, body.top + size * 6.4, size * 1.9)


def _player_keys(canvas: Canvas, x: float, y: float, radius: float) -> None:
    theme = canvas.theme
    canvas.circle(x, y, radius, theme.accent)
    third = radius * 0.5
    if canvas.rng.random() < 0.5:
        points = [(x - third * 0.7, y - third), (x + third, y), (x - third * 0.7, y + third)]
        canvas.polygon(points, theme.on_accent)
    else:
        for left in (x - third * 0.8, x + third * 0.25):
            canvas.fill(Box(left, y - third, left + third * 0.55, y + third), theme.on_accent)
    for side in (-1, 1):
        for step in (2.0, 2.5):
            tip, tail = x + side * radius * (step + 0.5), x + side * radius * step
            canvas.polygon([(tail, y - third), (tip, y), (tail, y + third)], theme.text)


def place_map(canvas: Canvas, box: Box) -> None:
    """Streets and parks with a route and pins."""
    rng, theme = canvas.rng, canvas.theme
    _land(canvas, box)
    _streets(canvas, box, mix(theme.surface, theme.text, 0.22))
    centre = box.square()
    turns = centre.inset(centre.width * 0.15)
    xs = sorted(rng.uniform(turns.left, turns.right) for _ in range(4))
    route = [(x, rng.uniform(turns.top, turns.bottom)) for x in xs]
    canvas.line(route, theme.accent, 13)
    for _ in range(rng.randint(2, 4) + canvas.columns):
        x = rng.uniform(centre.left + 40, centre.right - 40)
        _pin(canvas, x, rng.uniform(centre.top + 60, centre.bottom - 20))
    _pin(canvas, *route[-1])
    search = box.inset(18).cut_top(56)[0].middle(560, 56)
    canvas.fill(search, theme.surface, 28, theme.line, 2)
    canvas.text(search.left + 26, search.y, rng.choice(PLACES), 18, theme.muted)


def _land(canvas: Canvas, box: Box) -> None:
    rng = canvas.rng
    land = mix(canvas.theme.background, canvas.theme.text, 0.07)
    canvas.fill(box, land)
    for _ in range(canvas.columns * 3 + 2):
        x, y = rng.uniform(box.left, box.right), rng.uniform(box.top, box.bottom)
        block = Box(x, y, x + rng.uniform(60, 220), y + rng.uniform(60, 200))
        canvas.fill(_within(block, box), mix(land, PARK, 0.35), 8)


def _streets(canvas: Canvas, box: Box, colour: Colour) -> None:
    rng = canvas.rng
    tilt = rng.uniform(-0.25, 0.25)
    for x in _spread(canvas, box.left, box.right):
        drift = tilt * box.height
        ends = (min(max(x - drift, box.left), box.right), min(max(x + drift, box.left), box.right))
        canvas.line([(ends[0], box.top), (ends[1], box.bottom)], colour, rng.choice((5, 8, 16)))
    for y in _spread(canvas, box.top, box.bottom):
        drift = tilt * box.width * 0.5
        ends = (min(max(y + drift, box.top), box.bottom), min(max(y - drift, box.top), box.bottom))
        canvas.line([(box.left, ends[0]), (box.right, ends[1])], colour, rng.choice((5, 8, 16)))


def _spread(canvas: Canvas, start: float, end: float) -> list[float]:
    """Places about 110 units apart."""
    count = max(2, round((end - start) / 110))
    step = (end - start) / count
    return [start + step * (i + canvas.rng.uniform(0.2, 0.8)) for i in range(count)]


def _pin(canvas: Canvas, x: float, y: float) -> None:
    theme, radius = canvas.theme, canvas.rng.uniform(20, 28)
    canvas.polygon(
        [(x - radius * 0.85, y - radius * 1.4), (x + radius * 0.85, y - radius * 1.4), (x, y)],
        theme.accent,
    )
    canvas.circle(x, y - radius * 1.7, radius, theme.accent)
    canvas.circle(x, y - radius * 1.7, radius * 0.4, theme.on_accent)


def _within(block: Box, box: Box) -> Box:
    return Box(
        max(block.left, box.left),
        max(block.top, box.top),
        min(block.right, box.right),
        min(block.bottom, box.bottom),
    )

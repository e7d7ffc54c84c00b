"""What screens are made of: cards, buttons, fields, avatars, pictures, bars."""

from __future__ import annotations

from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas
from model.synthetic.screens.theme import BLACK, WHITE, Colour, mix
from model.synthetic.screens.words import BRANDS, LABELS, OPTIONS, WORDS

# Grounds of drawn photographs: dull, so that only the accent names the thumbnail's colour.
PHOTO_GREYS: tuple[Colour, ...] = (
    (142, 150, 160),
    (168, 160, 148),
    (120, 128, 122),
    (104, 108, 120),
    (186, 186, 182),
)
DEVICE_MARGIN = {1: 16.0, 2: 24.0, 3: 30.0}


def card(canvas: Canvas, box: Box) -> Box:
    """A raised surface. Returns the room inside it."""
    canvas.fill(box, canvas.theme.surface, canvas.radius, canvas.theme.line)
    return box.inset(min(14.0, box.width * 0.1), min(12.0, box.height * 0.12))


def button(canvas: Canvas, box: Box, label: str, *, primary: bool = True) -> None:
    """A button: filled with the accent, or outlined with it."""
    theme = canvas.theme
    ground = theme.accent if primary else theme.surface
    ink = theme.on_accent if primary else theme.accent
    canvas.fill(box, ground, canvas.radius, theme.accent, 2)
    canvas.text(box.x, box.y, label, min(18.0, box.height * 0.42), ink, anchor="mm", bold=True)


def field(canvas: Canvas, box: Box, hint: str) -> None:
    """An empty text field with a hint."""
    canvas.fill(box, canvas.theme.surface, canvas.radius, canvas.theme.muted, 1.5)
    canvas.text(box.left + 14, box.y, hint, min(16.0, box.height * 0.4), canvas.theme.muted)


def paragraph(canvas: Canvas, box: Box, size: float, colour: Colour | None = None) -> None:
    """Running text that fills the box, its last line short."""
    rng = canvas.rng
    lines = box.stack(size * 1.5)
    ink = canvas.theme.muted if colour is None else colour
    for row in lines:
        room = box.width * (rng.uniform(0.4, 0.8) if row is lines[-1] else 1.0)
        words = " ".join(rng.choices(WORDS, k=2 + int(room / (size * 2.2))))
        canvas.text(row.left, row.y, words, size, ink, room=room)


def avatar(canvas: Canvas, x: float, y: float, radius: float, name: str) -> None:
    """A disc with an initial."""
    theme = canvas.theme
    ground = canvas.rng.choice((theme.soft, theme.line, canvas.rng.choice(PHOTO_GREYS)))
    canvas.circle(x, y, radius, ground)
    canvas.text(x, y, name[:1], radius, theme.text, anchor="mm")


def person(canvas: Canvas, box: Box, body: Colour) -> None:
    """Head and shoulders, standing on the lower edge of the box."""
    skin = canvas.rng.choice(((236, 200, 172), (198, 150, 116), (132, 92, 68)))
    side = min(box.width, box.height)
    canvas.fill(
        Box(box.x - side * 0.36, box.bottom - side * 0.36, box.x + side * 0.36, box.bottom),
        body,
        side * 0.18,
    )
    canvas.circle(box.x, box.bottom - side * 0.56, side * 0.22, skin)


def photo(canvas: Canvas, box: Box) -> None:
    """A landscape: sky, sun and hills in dull colours."""
    rng = canvas.rng
    sky = rng.choice(PHOTO_GREYS)
    land = mix(rng.choice(PHOTO_GREYS), BLACK, rng.uniform(0.2, 0.5))
    canvas.fill(box, sky)
    sun = min(box.width, box.height) * rng.uniform(0.08, 0.16)
    canvas.circle(
        box.left + box.width * rng.uniform(0.2, 0.8),
        box.top + box.height * 0.3,
        sun,
        mix(sky, WHITE, 0.6),
    )
    peak, dip = box.bottom - box.height * rng.uniform(0.35, 0.6), box.bottom - box.height * 0.2
    at = box.left + box.width * rng.uniform(0.2, 0.8)
    canvas.polygon(
        [
            (box.left, box.bottom),
            (box.left, dip),
            (at, peak),
            (box.right, dip),
            (box.right, box.bottom),
        ],
        land,
    )


def toggle(canvas: Canvas, x: float, y: float, *, on: bool) -> None:
    """A switch 52 units wide that ends at x."""
    theme = canvas.theme
    canvas.fill(Box(x - 52, y - 15, x, y + 15), theme.accent if on else theme.line, 15)
    canvas.circle(x - 15 if on else x - 37, y, 12, WHITE if on else theme.muted)


def icon(canvas: Canvas, x: float, y: float, size: float, colour: Colour) -> None:
    """One of five plain glyphs about (x, y)."""
    half = size / 2
    box = Box(x - half, y - half, x + half, y + half)
    shape = canvas.rng.randrange(5)
    if shape == 0:
        canvas.circle(x, y, half, None, colour, size / 6)
    elif shape == 1:
        canvas.fill(box, None, size / 5, colour, size / 6)
    elif shape == 2:
        canvas.polygon([(x, box.top), (box.right, box.bottom), (box.left, box.bottom)], colour)
    elif shape == 3:
        for row in box.rows(3, size / 6):
            canvas.fill(row, colour)
    else:
        canvas.circle(x, y, half * 0.8, colour)


def page(canvas: Canvas, box: Box, title: str) -> Box:
    """The application around a screen: title bar, side bar, tabs. Returns the room inside."""
    rng = canvas.rng
    _, box = box.cut_top(rng.uniform(0, 14))
    bar, box = box.cut_top(rng.uniform(52, 68))
    _title_bar(canvas, bar, title)
    if canvas.columns == 1 and rng.random() < 0.5:
        tabs, box = box.cut_bottom(64)
        _tabs(canvas, tabs)
    if canvas.columns > 1 and rng.random() < 0.4:
        side, box = box.cut_left(box.width * rng.uniform(0.14, 0.22))
        _side_bar(canvas, side)
    margin = DEVICE_MARGIN[canvas.columns]
    return box.inset(margin, margin * rng.uniform(0.6, 1.0))


def _title_bar(canvas: Canvas, bar: Box, title: str) -> None:
    theme, filled = canvas.theme, canvas.rng.random() < 0.5
    ink = theme.on_accent if filled else theme.text
    canvas.fill(bar, theme.accent if filled else theme.surface)
    canvas.line([(bar.left, bar.bottom), (bar.right, bar.bottom)], theme.line)
    if canvas.rng.random() < 0.5:
        canvas.text(bar.x, bar.y, title, 22, ink, anchor="mm", bold=True)
    else:
        canvas.text(bar.left + 24, bar.y, title, 22, ink, bold=True)
    icon(canvas, bar.right - 34, bar.y, 20, ink)


def _tabs(canvas: Canvas, bar: Box) -> None:
    theme = canvas.theme
    canvas.fill(bar, theme.surface, outline=theme.line)
    tabs = bar.columns(canvas.rng.randint(3, 5))
    chosen = canvas.rng.randrange(len(tabs))
    for number, tab in enumerate(tabs):
        colour = theme.accent if number == chosen else theme.muted
        icon(canvas, tab.x, tab.top + 22, 22, colour)
        canvas.text(tab.x, tab.bottom - 16, canvas.rng.choice(LABELS), 10, colour, anchor="mm")


def _side_bar(canvas: Canvas, bar: Box) -> None:
    theme = canvas.theme
    canvas.fill(bar, theme.surface, outline=theme.line)
    inner = bar.inset(14, 20)
    canvas.text(inner.left, inner.top + 10, canvas.rng.choice(BRANDS), 20, theme.accent, bold=True)
    rows = inner.cut_top(44)[1].stack(44)[: canvas.rng.randint(5, 9)]
    chosen = canvas.rng.randrange(len(rows))
    for number, row in enumerate(rows):
        if number == chosen:
            canvas.fill(row.inset(-6, 4), theme.soft, canvas.radius)
        label = canvas.rng.choice(OPTIONS)
        canvas.text(row.left + 6, row.y, label, 15, theme.muted, room=row.width - 12)

"""Screens of numbers: bars, lines, a ring, a table, the weather."""

from __future__ import annotations

import math

from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas, Point
from model.synthetic.screens.parts import card, icon, page
from model.synthetic.screens.theme import mix
from model.synthetic.screens.words import GOODS, LABELS, PEOPLE, PLACES


def dashboard(canvas: Canvas, box: Box) -> None:
    """Tiles of numbers above a large bar chart."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Dashboard", "Overview", "Statistics")))
    tiles, chart = body.cut_top(body.height * rng.uniform(0.2, 0.26))
    for tile in tiles.columns(canvas.columns + 1, 14):
        _tile(canvas, tile)
    inner = card(canvas, chart.cut_top(14)[1])
    title, inner = inner.cut_top(36)
    canvas.text(title.left, title.y, rng.choice(LABELS), 20, bold=True)
    _grid_lines(canvas, inner)
    bars = inner.columns(rng.randint(5, 9), 12)
    for bar in bars:
        _, filled = bar.cut_top(bar.height * rng.uniform(0.05, 0.75))
        canvas.fill(filled, theme.accent, canvas.radius / 3)


def analytics(canvas: Canvas, box: Box) -> None:
    """One large curve above its filled area."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Analytics", "Trends", "Performance")))
    chart, rest = body.cut_top(body.height * rng.uniform(0.7, 0.82))
    inner = card(canvas, chart)
    title, inner = inner.cut_top(54)
    canvas.text(title.left, title.y, f"{rng.randint(10, 990)}k", 34, bold=True)
    _grid_lines(canvas, inner)
    curve = _walk(canvas, inner)
    area = [(inner.left, inner.bottom), *curve, (inner.right, inner.bottom)]
    canvas.polygon(area, mix(theme.surface, theme.accent, 0.3))
    canvas.line(curve, theme.accent, rng.uniform(5, 8))
    for x, y in curve[1::3]:
        canvas.circle(x, y, 9, theme.surface, theme.accent, 4)
    for tile in rest.cut_top(14)[1].columns(canvas.columns + 1, 14):
        _tile(canvas, tile)


def budget(canvas: Canvas, box: Box) -> None:
    """A large ring of shares with its legend."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Budget", "Spending", "Portfolio")))
    inner = card(canvas, body)
    if inner.width > inner.height * 1.1:
        chart, legend = inner.cut_left(inner.width * 0.68)
    else:
        chart, legend = inner.cut_top(inner.height * 0.68)
    radius = min(chart.width, chart.height) * 0.46
    shades = [mix(theme.accent, theme.surface, share) for share in (0.0, 0.3, 0.55, 0.75)]
    start = rng.uniform(0, 360)
    for shade, span in zip(shades, (rng.uniform(140, 190), 80, 50, 90), strict=True):
        canvas.sector(chart.x, chart.y, radius, (start, start + span), shade)
        start += span
    canvas.circle(chart.x, chart.y, radius * rng.uniform(0.5, 0.66), theme.surface)
    total = f"${rng.randint(1, 9)},{rng.randint(100, 999)}"
    canvas.text(chart.x, chart.y, total, radius * 0.28, anchor="mm", bold=True)
    for row, shade in zip(legend.inset(10).rows(4), shades, strict=True):
        canvas.circle(row.left + 10, row.y, 9, shade)
        canvas.text(row.left + 30, row.y, rng.choice(GOODS), 16, room=row.width - 30)


def table(canvas: Canvas, box: Box) -> None:
    """Rows and columns of cells under a coloured head."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Customers", "Orders", "Members")))
    canvas.fill(body, theme.surface, 0, theme.line)
    rows = body.stack(rng.uniform(40, 50))
    count = canvas.columns * 2 + rng.randint(1, 2)
    heads = (0, len(rows) // 2) if body.height > body.width else (0,)
    for number, row in enumerate(rows):
        head = number in heads
        if number % 6 == 3:
            canvas.fill(row, theme.soft)
        _table_row(canvas, row, count, head=head)
    for column in body.columns(count)[1:]:
        canvas.line([(column.left, body.top), (column.left, body.bottom)], theme.line, 1.5)


def _table_row(canvas: Canvas, row: Box, count: int, *, head: bool) -> None:
    rng, theme = canvas.rng, canvas.theme
    canvas.fill(row, theme.accent if head else None, 0, theme.line, 1.5)
    for number, cell in enumerate(row.columns(count)):
        if head:
            words, ink = rng.choice(LABELS), theme.on_accent
        else:
            words, ink = str(rng.randint(1, 9999)), theme.muted
            if number == 0:
                words, ink = rng.choice(PEOPLE), theme.text
        canvas.text(cell.left + 8, cell.y, words, 15, ink, room=cell.width - 12)


def weather(canvas: Canvas, box: Box) -> None:
    """A sky of accent with a sun or cloud, a large temperature and the next hours."""
    rng, theme = canvas.rng, canvas.theme
    top = mix(theme.accent, theme.background, rng.uniform(0.0, 0.12))
    strips = box.rows(14)
    for number, strip in enumerate(strips):
        shade = mix(top, theme.background, 0.85 * number / len(strips))
        canvas.fill(strip._replace(bottom=strip.bottom + 2), shade)
    inner = box.middle(min(box.width, box.height * 1.1), box.height).inset(18, 14)
    _, inner = inner.cut_top(inner.height * rng.uniform(0.1, 0.16))
    sky, hours = inner.cut_top(inner.height * 0.58)
    size = min(sky.width * 0.26, sky.height * 0.34)
    _sun_and_cloud(canvas, sky.x - size * 0.9, sky.y, size)
    canvas.text(sky.x + size * 0.2, sky.y, f"{rng.randint(-9, 38)}°", size * 1.1, bold=True)
    canvas.text(sky.x, sky.top + 10, rng.choice(PLACES), 34, theme.on_accent, anchor="mm")
    for cell in card(canvas, hours.cut_top(hours.height * 0.45)[0]).columns(5):
        canvas.text(cell.x, cell.top + 10, f"{rng.randint(1, 12)} h", 14, anchor="mm")
        canvas.circle(cell.x, cell.y + 4, 12, rng.choice((theme.accent, theme.muted)))
        canvas.text(cell.x, cell.bottom - 10, f"{rng.randint(0, 30)}°", 15, anchor="mm")


def _sun_and_cloud(canvas: Canvas, x: float, y: float, size: float) -> None:
    grey = mix(canvas.theme.surface, canvas.theme.text, 0.1)
    canvas.circle(x, y - size * 0.1, size * 0.5, (255, 236, 150))
    if canvas.rng.random() < 0.7:
        for offset, radius in ((-0.3, 0.26), (0.05, 0.36), (0.42, 0.26)):
            canvas.circle(x + offset * size, y + size * 0.28, radius * size, grey)


def _tile(canvas: Canvas, box: Box) -> None:
    """A number with its label, and a sign of change."""
    inner = card(canvas, box)
    theme = canvas.theme
    canvas.text(inner.left, inner.top + 10, canvas.rng.choice(LABELS), 14, theme.muted)
    canvas.text(inner.left, inner.y + 12, str(canvas.rng.randint(10, 999)), 28, bold=True)
    icon(canvas, inner.right - 12, inner.y + 12, 20, theme.accent)


def _grid_lines(canvas: Canvas, box: Box) -> None:
    for row in box.rows(4):
        canvas.line([(box.left, row.bottom), (box.right, row.bottom)], canvas.theme.line, 1.5)


def _walk(canvas: Canvas, box: Box) -> list[Point]:
    """A curve across the box: two waves and some noise."""
    rng = canvas.rng
    count, phase, pace = 24, rng.uniform(0, 6), rng.uniform(0.15, 0.35)
    height, slope = rng.uniform(0.12, 0.22), rng.uniform(-0.3, 0.3)
    points = []
    for step in range(count + 1):
        wave = math.sin(phase + step * pace) * height + math.sin(step * pace * 2.7) * 0.07
        share = 0.45 + wave + slope * (step / count - 0.5) + rng.uniform(-0.03, 0.03)
        points.append((box.left + box.width * step / count, box.top + box.height * share))
    return points

"""Screens of rows: inbox, notifications, search results, chat, an article, code."""

from __future__ import annotations

from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas
from model.synthetic.screens.parts import DEVICE_MARGIN, avatar, card, icon, page, paragraph, photo
from model.synthetic.screens.theme import mix
from model.synthetic.screens.words import (
    BRANDS,
    FILES,
    HEADLINES,
    LABELS,
    PEOPLE,
    PHRASES,
    SUBJECTS,
)


def inbox(canvas: Canvas, box: Box) -> None:
    """Messages with round portraits, unread ones marked."""
    rng = canvas.rng
    body = page(canvas, box, rng.choice(("Inbox", "Mail", "All mail")))
    body = body.middle(rng.uniform(640, 760), 3000)
    for number, row in enumerate(body.stack(rng.uniform(72, 90))):
        _message(canvas, row, unread=number % 3 == 1 or rng.random() < 0.3)


def _message(canvas: Canvas, row: Box, *, unread: bool) -> None:
    rng, theme = canvas.rng, canvas.theme
    canvas.fill(row, theme.soft if unread else theme.surface, 0, theme.line, 1.5)
    name = rng.choice(PEOPLE)
    avatar(canvas, row.left + 42, row.y, 25, name)
    left, right = row.left + 82, row.right - 14
    canvas.text(left, row.y - 15, name, 18, bold=unread)
    canvas.text(left, row.y + 14, rng.choice(SUBJECTS), 15, theme.muted, room=row.width - 150)
    clock = f"{rng.randint(1, 12)}:{rng.randint(10, 59)}"
    canvas.text(right, row.y - 16, clock, 13, theme.muted, anchor="rm")
    if unread:
        canvas.fill(row.cut_left(10)[0], theme.accent)
        canvas.circle(right - 10, row.y + 12, 11, theme.accent)


def notifications(canvas: Canvas, box: Box) -> None:
    """Separate cards, each with a coloured square sign and two lines."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Notifications", "Activity", "Alerts")))
    body = body.middle(640, 3000)
    for row in body.stack(rng.uniform(96, 112), 18):
        inner = card(canvas, row)
        sign, inner = inner.cut_left(inner.height)
        canvas.fill(sign, theme.accent, canvas.radius)
        icon(canvas, sign.x, sign.y, sign.height * 0.45, theme.on_accent)
        left = inner.left + 16
        canvas.text(left, inner.top + 14, rng.choice(SUBJECTS), 18, room=inner.width, bold=True)
        paragraph(canvas, Box(left, inner.top + 28, inner.right, inner.bottom), 14)


def search(canvas: Canvas, box: Box) -> None:
    """A field with a lens, and titles in the accent over two lines each."""
    rng, theme = canvas.rng, canvas.theme
    body = box.inset(DEVICE_MARGIN[canvas.columns], 14).middle(860, 3000)
    _, body = body.cut_top(body.height * (0.22 if canvas.columns == 1 else 0.03))
    bar, body = body.cut_top(64)
    canvas.fill(bar, theme.surface, 32, theme.accent, 3)
    canvas.circle(bar.left + 32, bar.y - 2, 10, None, theme.accent, 4)
    canvas.line([(bar.left + 39, bar.y + 5), (bar.left + 48, bar.y + 14)], theme.accent, 4)
    query = rng.choice(PHRASES + HEADLINES).lower()
    canvas.text(bar.left + 62, bar.y, query, 19, room=bar.width - 80)
    for row in body.cut_top(20)[1].stack(rng.uniform(104, 124), 18):
        canvas.text(row.left, row.top + 8, f"{rng.choice(BRANDS).lower()}.example", 14, theme.muted)
        title = f"{rng.choice(HEADLINES)} - {rng.choice(BRANDS)}"
        canvas.text(row.left, row.top + 34, title, 23, theme.accent, room=row.width, bold=True)
        paragraph(canvas, row.cut_top(52)[1], 15)


def chat(canvas: Canvas, box: Box) -> None:
    """Bubbles: theirs grey at the left, mine in the accent at the right."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(PEOPLE)).middle(rng.uniform(620, 720), 3000)
    entry, body = body.cut_bottom(56)
    canvas.fill(entry, theme.surface, 28, theme.line, 2)
    canvas.text(entry.left + 24, entry.y, "Message", 16, theme.muted)
    canvas.circle(entry.right - 28, entry.y, 20, theme.accent)
    mine = rng.random() < 0.5
    for row in body.cut_bottom(16)[1].stack(rng.uniform(56, 70), 14):
        wide = min(row.width * 0.72, rng.uniform(170, 420))
        bubble = row.cut_right(wide)[0] if mine else row.cut_left(wide)[0]
        ground = theme.accent if mine else mix(theme.surface, theme.text, 0.14)
        canvas.fill(bubble, ground, 24)
        ink = theme.on_accent if mine else theme.text
        canvas.text(bubble.left + 18, bubble.y, rng.choice(PHRASES), 17, ink, room=wide - 24)
        mine = not mine if rng.random() < 0.7 else mine


def article(canvas: Canvas, box: Box) -> None:
    """A headline, a wide picture, and text in columns."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(BRANDS) + " News")
    label, body = body.cut_top(30)
    canvas.fill(label.cut_left(96)[0], theme.accent, canvas.radius / 2)
    canvas.text(label.left + 48, label.y, rng.choice(LABELS), 14, theme.on_accent, anchor="mm")
    head, body = body.cut_top(70)
    canvas.text(head.left, head.y, rng.choice(HEADLINES), min(44, head.width / 11), bold=True)
    picture, body = body.cut_top(body.height * rng.uniform(0.38, 0.48))
    photo(canvas, picture)
    rule, body = body.cut_top(30)
    canvas.fill(Box(rule.left, rule.y - 4, rule.right, rule.y + 4), theme.accent)
    for column in body.columns(canvas.columns, 28):
        paragraph(canvas, column, 17, mix(theme.text, theme.muted, 0.4))


def editor(canvas: Canvas, box: Box) -> None:
    """Code: numbered, indented lines of coloured words under a row of files."""
    rng, theme = canvas.rng, canvas.theme
    tabs, body = box.cut_top(44)
    canvas.fill(tabs, theme.surface)
    for number, tab in enumerate(tabs.columns(canvas.columns + 1)):
        canvas.fill(tab, theme.background if number == 0 else theme.surface, 0, theme.line)
        canvas.text(tab.left + 16, tab.y, rng.choice(FILES).lower(), 15, room=tab.width - 20)
    status, body = body.cut_bottom(38)
    canvas.fill(status, theme.accent)
    gutter, body = body.cut_left(54)
    canvas.fill(gutter, theme.surface)
    depth, lines = 0, body.inset(8, 10).stack(rng.uniform(26, 31))
    current = len(lines) // 2 + rng.randint(-2, 2)
    for number, line in enumerate(lines):
        if number == current:
            canvas.fill(Box(body.left, line.top, body.right, line.bottom), theme.soft)
        canvas.text(gutter.right - 8, line.y, str(number + 1), 14, theme.muted, anchor="rm")
        depth = max(0, min(4, depth + rng.choice((-1, 0, 0, 1))))
        _code_line(canvas, line, depth)


def _code_line(canvas: Canvas, line: Box, depth: int) -> None:
    rng, theme = canvas.rng, canvas.theme
    at, end = line.left + 30 * depth, line.left + min(line.width, rng.uniform(180, 620))
    first = True
    while at < end and rng.random() > 0.04:
        width = rng.uniform(34, 110)
        colours = (theme.accent, theme.text, theme.muted)
        colour = theme.accent if first else rng.choice(colours)
        block = Box(
            at, line.y - line.height * 0.22, min(at + width, end), line.y + line.height * 0.2
        )
        if block.width > 4:
            canvas.fill(block, colour, 3)
        at += width + 14
        first = False

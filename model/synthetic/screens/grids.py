"""Screens of cells: calendar, board, gallery, prices, files, a video call."""

from __future__ import annotations

from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas
from model.synthetic.screens.parts import avatar, button, card, icon, page, person, photo
from model.synthetic.screens.theme import BLACK, WHITE, mix
from model.synthetic.screens.words import FILES, MONTHS, PEOPLE, PLANS, TASKS


def calendar(canvas: Canvas, box: Box) -> None:
    """A month of numbered days, some of them marked."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(MONTHS))
    if canvas.columns == 1:
        body = body.middle(body.width, body.width * rng.uniform(1.2, 1.5))
    canvas.fill(body, theme.surface, canvas.radius, theme.line)
    names, days = body.cut_top(38)
    for cell, letter in zip(names.columns(7), "MTWTFSS", strict=True):
        canvas.text(cell.x, cell.y, letter, 16, theme.accent, anchor="mm", bold=True)
    marked = rng.sample(range(5, 31), rng.randint(5, 9))
    offset = rng.randrange(5)
    for number, cell in enumerate(days.grid(5, 7)):
        canvas.fill(cell, None, 0, theme.line, 1.5)
        day = number - offset + 1
        if not 1 <= day <= 31:
            continue
        if number in marked:
            canvas.fill(cell.inset(5), theme.accent, canvas.radius)
        ink = theme.on_accent if number in marked else theme.text
        canvas.text(cell.x, cell.y, str(day), 19, ink, anchor="mm")


def kanban(canvas: Canvas, box: Box) -> None:
    """Columns of task cards under coloured heads."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Board", "Sprint", "Tasks")))
    columns = body.columns({1: 2, 2: 4, 3: 5}[canvas.columns], 14)
    names = ("To do", "Doing", "Review", "Done", "Later")
    for column, name in zip(columns, names, strict=False):
        canvas.fill(column, mix(theme.background, theme.text, 0.08), canvas.radius)
        head, rest = column.cut_top(44)
        canvas.fill(head, theme.accent, canvas.radius)
        canvas.text(head.left + 12, head.y, name, 17, theme.on_accent, bold=True)
        cards = rest.inset(9, 12).stack(rng.uniform(96, 150), 12)
        for task in cards[: rng.randint(max(2, len(cards) - 3), len(cards))]:
            _task(canvas, task)


def _task(canvas: Canvas, box: Box) -> None:
    rng = canvas.rng
    inner = card(canvas, box)
    label, _ = inner.cut_top(9)[0].cut_left(inner.width * rng.uniform(0.3, 0.7))
    canvas.fill(label, canvas.theme.accent, 4)
    canvas.text(inner.left, inner.top + 30, rng.choice(TASKS), 15, room=inner.width)
    avatar(canvas, inner.right - 12, inner.bottom - 10, 12, rng.choice(PEOPLE))


def gallery(canvas: Canvas, box: Box) -> None:
    """A close grid of photographs, a few of them chosen, and a round button."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Photos", "Gallery", "Album")))
    columns = canvas.columns + 1 + rng.randint(0, 1)
    rows = max(2, round(body.height / body.width * columns))
    for cell in body.grid(rows, columns, rng.uniform(4, 12)):
        photo(canvas, cell)
        if rng.random() < 0.25:
            canvas.fill(cell, None, 0, theme.accent, 8)
            canvas.circle(cell.right - 26, cell.top + 26, 15, theme.accent, WHITE, 3)
    side = min(body.width, body.height)
    x, y = body.x + side * 0.36, body.y + side * 0.36
    canvas.circle(x, y, side * 0.085, theme.accent)
    canvas.text(x, y, "+", side * 0.12, theme.on_accent, anchor="mm", bold=True)


def pricing(canvas: Canvas, box: Box) -> None:
    """Plans side by side (stacked on a phone), a large price on each, one of them filled."""
    body = page(canvas, box, canvas.rng.choice(("Pricing", "Plans", "Choose a plan")))
    plans = body.rows(3, 18) if canvas.columns == 1 else body.inset(0, 30).columns(3, 26)
    for number, plan in enumerate(plans):
        _plan(canvas, plan, chosen=number == 1)


def _plan(canvas: Canvas, plan: Box, *, chosen: bool) -> None:
    rng, theme = canvas.rng, canvas.theme
    ground, ink = (theme.accent, theme.on_accent) if chosen else (theme.surface, theme.text)
    canvas.fill(plan, ground, max(10.0, canvas.radius), theme.line, 2)
    head, rest = plan.inset(20, 14).cut_top(plan.height * 0.42)
    canvas.text(head.x, head.top + 16, rng.choice(PLANS), 20, ink, anchor="mm")
    price, size = f"${rng.randint(1, 99)}", min(74.0, head.height * 0.6)
    canvas.text(head.x, head.y + 18, price, size, ink, anchor="mm", bold=True)
    action, rest = rest.cut_bottom(46)
    for row in rest.stack(34)[:6] if rest.height > 60 else []:
        canvas.circle(row.left + 12, row.y, 6, ink if chosen else theme.accent)
        canvas.text(row.left + 28, row.y, rng.choice(TASKS), 15, ink, room=row.width - 30)
    button(canvas, action, "Choose", primary=not chosen)


def files(canvas: Canvas, box: Box) -> None:
    """Folders and sheets in a wide-spaced grid with their names."""
    rng = canvas.rng
    body = page(canvas, box, rng.choice(("Files", "Documents", "My drive")))
    columns = canvas.columns * 2 + rng.randint(0, 1) + (canvas.columns == 1)
    rows = max(2, round(body.height / body.width * columns * 0.9))
    for cell in body.grid(rows, columns, 16):
        name = rng.choice(FILES)
        sign = cell.cut_bottom(30)[1].square().inset(4)
        if "." in name:
            _sheet(canvas, sign.inset(sign.width * 0.14, 0))
        else:
            _folder(canvas, sign)
        canvas.text(cell.x, cell.bottom - 14, name, 15, anchor="mm", room=cell.width)


def _sheet(canvas: Canvas, box: Box) -> None:
    theme = canvas.theme
    canvas.fill(box, theme.surface, 4, theme.muted, 2)
    for line in box.inset(box.width * 0.2, box.height * 0.22).rows(4, 7):
        canvas.fill(line, theme.line)


def _folder(canvas: Canvas, box: Box) -> None:
    accent = canvas.theme.accent
    tab, folder = box.cut_top(box.height * 0.2)
    canvas.fill(tab.cut_left(tab.width * 0.45)[0].inset(0, -6), accent, 6)
    canvas.fill(folder.cut_bottom(folder.height * 0.08)[1], accent, 6)


def call(canvas: Canvas, box: Box) -> None:
    """People in tiles, the speaker framed, and round buttons below."""
    rng, theme = canvas.rng, canvas.theme
    canvas.fill(box, theme.background)
    body = box.inset(14)
    bar, body = body.cut_bottom(84)
    rows = rng.choice((3, 4) if canvas.columns == 1 else (2, 3))
    tiles = body.grid(rows, canvas.columns, 12)
    speaker = len(tiles) // 2
    for number, tile in enumerate(tiles):
        ground = mix(theme.background, theme.text, rng.uniform(0.12, 0.3))
        canvas.fill(tile, ground, canvas.radius)
        cloth = theme.accent if rng.random() < 0.5 else mix(theme.muted, BLACK, 0.3)
        person(canvas, tile.inset(tile.width * 0.1, tile.height * 0.06), cloth)
        if number == speaker:
            canvas.fill(tile, None, canvas.radius, theme.accent, 9)
        canvas.text(tile.left + 12, tile.bottom - 16, rng.choice(PEOPLE), 15)
    _call_keys(canvas, bar)


def _call_keys(canvas: Canvas, bar: Box) -> None:
    theme = canvas.theme
    for number, key in enumerate(bar.middle(360, 70).columns(4)):
        canvas.circle(key.x, key.y, 29, theme.accent if number == 2 else theme.line)
        icon(canvas, key.x, key.y, 24, theme.on_accent if number == 2 else theme.text)

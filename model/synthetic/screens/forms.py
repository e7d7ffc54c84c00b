"""Screens that ask and act: sign-in, cart, settings, dialog, landing page, calculator, profile."""

from __future__ import annotations

from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas
from model.synthetic.screens.parts import (
    DEVICE_MARGIN,
    avatar,
    button,
    card,
    field,
    icon,
    page,
    paragraph,
    photo,
    toggle,
)
from model.synthetic.screens.theme import BLACK, mix
from model.synthetic.screens.words import BRANDS, GOODS, HEADLINES, OPTIONS


def login(canvas: Canvas, box: Box) -> None:
    """A logo, two fields and a button in the middle of an empty page."""
    rng, theme = canvas.rng, canvas.theme
    form = box.middle(min(box.width * 0.84, 400), rng.uniform(380, 440))
    if canvas.columns > 1 or rng.random() < 0.4:
        canvas.fill(form.inset(-24), theme.surface, canvas.radius, theme.line)
    top, form = form.cut_top(130)
    canvas.circle(top.x, top.top + 44, rng.uniform(32, 44), theme.accent)
    icon(canvas, top.x, top.top + 44, 32, theme.on_accent)
    title = rng.choice(("Welcome back", "Sign in", "Log in", "Hello again"))
    canvas.text(top.x, top.bottom - 22, title, 28, anchor="mm", bold=True)
    rows = form.rows(4, 14)
    field(canvas, rows[0], rng.choice(("Email", "Username", "Phone number")))
    field(canvas, rows[1], "Password")
    button(canvas, rows[2], rng.choice(("Sign in", "Log in", "Continue")))
    canvas.text(rows[3].x, rows[3].y, "Forgot your password?", 15, theme.accent, anchor="mm")


def checkout(canvas: Canvas, box: Box) -> None:
    """Goods with pictures and prices, the total, and a wide pay button in the middle."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Cart", "Checkout", "Basket"))).middle(900, 2000)
    goods, summary = body.cut_top(body.height * rng.uniform(0.42, 0.5))
    for row in goods.stack(90, 10):
        inner = card(canvas, row)
        picture, inner = inner.cut_left(min(inner.height, 80))
        photo(canvas, picture)
        name = rng.choice(GOODS)
        canvas.text(inner.left + 14, row.y - 12, name, 18, room=inner.width - 110)
        canvas.text(inner.left + 14, row.y + 14, f"Qty {rng.randint(1, 4)}", 14, theme.muted)
        canvas.text(inner.right, row.y, f"${rng.randint(5, 240)}.00", 20, anchor="rm", bold=True)
    _, summary = summary.cut_top(14)
    pay, summary = summary.cut_top(66)
    button(canvas, pay, f"Pay ${rng.randint(20, 900)}.00")
    for row in card(canvas, summary.cut_top(16)[1]).stack(40)[:4]:
        canvas.text(row.left, row.y, rng.choice(("Subtotal", "Shipping", "Tax", "Voucher")), 17)
        canvas.text(row.right, row.y, f"${rng.randint(1, 400)}.00", 17, anchor="rm")


def settings(canvas: Canvas, box: Box) -> None:
    """Rows with a label at the left and a switch at the right."""
    rng, theme = canvas.rng, canvas.theme
    body = page(canvas, box, rng.choice(("Settings", "Preferences", "Options")))
    body = body.middle(rng.uniform(560, 640), 3000)
    share = rng.uniform(0.45, 0.8)
    for number, row in enumerate(body.stack(rng.uniform(58, 74), rng.choice((0, 8)))):
        canvas.fill(row, theme.surface, canvas.radius / 2, theme.line)
        icon(canvas, row.left + 28, row.y, 20, theme.muted)
        canvas.text(row.left + 56, row.y, rng.choice(OPTIONS), 18, room=row.width - 140)
        toggle(canvas, row.right - 16, row.y, on=number % 3 == 1 or rng.random() < share)


def dialog(canvas: Canvas, box: Box) -> None:
    """A question in a box above a dimmed page."""
    rng, theme = canvas.rng, canvas.theme
    dim = mix(theme.background, BLACK, rng.uniform(0.45, 0.6))
    canvas.fill(box, dim)
    for row in box.inset(DEVICE_MARGIN[canvas.columns]).stack(rng.uniform(70, 130), 18):
        canvas.fill(row, mix(theme.surface, BLACK, 0.4), canvas.radius)
    wide = min(box.width * 0.86, rng.uniform(400, 470))
    panel = box.middle(wide, rng.uniform(270, 330))
    canvas.fill(panel, theme.surface, max(8.0, canvas.radius), theme.line)
    inner = panel.inset(26, 22)
    question = rng.choice(("Delete this file?", "Save changes?", "Are you sure?", "Leave now?"))
    icon(canvas, inner.x, inner.top + 24, 40, theme.accent)
    canvas.text(inner.x, inner.top + 74, question, 25, anchor="mm", bold=True)
    buttons, inner = inner.cut_bottom(58)
    paragraph(canvas, inner.cut_top(98)[1].cut_bottom(18)[1], 16)
    cancel, confirm = buttons.columns(2, 16)
    button(canvas, cancel, "Cancel", primary=False)
    button(canvas, confirm, rng.choice(("OK", "Confirm", "Yes")))


def landing(canvas: Canvas, box: Box) -> None:
    """A large headline on a band of accent, with a button and a picture beneath."""
    rng, theme = canvas.rng, canvas.theme
    bar, box = box.cut_top(64)
    canvas.text(bar.left + 28, bar.y, rng.choice(BRANDS), 24, bold=True)
    hero, rest = box.cut_top(box.height * rng.uniform(0.56, 0.68))
    canvas.fill(hero, theme.accent)
    size = min(hero.width / 9.5, 76.0)
    words = rng.choice(HEADLINES).split()
    lines = (" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :]))
    middle = hero.middle(hero.width, size * 5.2)
    for row, line in zip(middle.rows(4)[:2], lines, strict=True):
        canvas.text(row.x, row.y, line, size, theme.on_accent, anchor="mm", bold=True)
    action = middle.rows(4)[3].middle(size * 4.6, size * 1.2)
    canvas.fill(action, theme.surface, canvas.radius * 2)
    canvas.text(action.x, action.y, "Get started", size * 0.5, theme.text, anchor="mm")
    for cell in rest.inset(DEVICE_MARGIN[canvas.columns]).columns(canvas.columns, 24):
        icon(canvas, cell.left + 24, cell.top + 26, 36, theme.accent)
        paragraph(canvas, cell.cut_top(64)[1].cut_top(90)[0], 16)


def calculator(canvas: Canvas, box: Box) -> None:
    """A number, and a pad of round keys."""
    rng, theme = canvas.rng, canvas.theme
    body = box.inset(DEVICE_MARGIN[canvas.columns])
    body = body.middle(min(body.width, body.height * rng.uniform(0.62, 0.8)), 3000)
    shown, pad = body.cut_top(body.height * rng.uniform(0.2, 0.26))
    number = f"{rng.randint(1, 99999):,}"
    canvas.text(shown.right, shown.y, number, shown.height * 0.5, anchor="rm")
    keys = pad.grid(5, 4, body.width * 0.035)
    labels = "C()/789x456-123+0.%="
    for key, label in zip(keys, labels, strict=True):
        strong = label in "/x-+="
        ground = theme.accent if strong else theme.line
        canvas.fill(key, ground, min(key.width, key.height) / 2)
        ink = theme.on_accent if strong else theme.text
        canvas.text(key.x, key.y, label, key.height * 0.42, ink, anchor="mm")


def profile(canvas: Canvas, box: Box) -> None:
    """A cover, a large round portrait on its edge, a name and numbers."""
    rng, theme = canvas.rng, canvas.theme
    cover, rest = box.cut_top(box.height * rng.uniform(0.36, 0.44))
    canvas.fill(cover, theme.accent)
    for _ in range(rng.randint(2, 5)):
        where = rng.uniform(cover.left, cover.right), rng.uniform(cover.top, cover.bottom)
        canvas.circle(*where, rng.uniform(10, 40), mix(theme.accent, theme.on_accent, 0.2))
    radius = min(box.width, box.height) * rng.uniform(0.14, 0.18)
    canvas.circle(rest.x, rest.top, radius * 1.1, theme.background)
    avatar(canvas, rest.x, rest.top, radius, rng.choice(BRANDS))
    name = rest.cut_top(radius * 1.15)[1].middle(min(rest.width * 0.8, 560), 3000)
    canvas.text(name.x, name.top + 24, rng.choice(BRANDS) + " Studio", 30, anchor="mm", bold=True)
    numbers, name = name.cut_top(48)[1].cut_top(76)
    for cell, label in zip(numbers.columns(3), ("Posts", "Followers", "Following"), strict=True):
        canvas.text(cell.x, cell.y - 12, str(rng.randint(10, 990)), 26, anchor="mm", bold=True)
        canvas.text(cell.x, cell.y + 18, label, 14, theme.muted, anchor="mm")
    follow, name = name.cut_top(54)
    button(canvas, follow, rng.choice(("Follow", "Edit profile", "Message")))
    for cell in name.cut_top(18)[1].columns(3, 6):
        photo(canvas, cell)

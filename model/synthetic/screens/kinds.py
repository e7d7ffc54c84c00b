"""The kinds of screens: the function that draws each, and its usual names.

To add one: write a function of a `Canvas` and the `Box` it may fill, and give it a line here.
Its names hold no word for a colour, a mode or a device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.synthetic.screens import charts, forms, grids, lists, media
from model.synthetic.screens.box import Box
from model.synthetic.screens.canvas import Canvas


@dataclass(frozen=True)
class Kind:
    """How a kind of screen is drawn and named; the first name is the usual one."""

    draw: Callable[[Canvas, Box], None]
    names: tuple[str, ...]


KINDS: dict[str, Kind] = {
    "login": Kind(forms.login, ("login screen", "login form", "sign-in page", "log in page")),
    "checkout": Kind(forms.checkout, ("checkout", "shopping cart", "basket with a pay button")),
    "settings": Kind(forms.settings, ("settings", "settings with toggles", "preferences page")),
    "dialog": Kind(forms.dialog, ("modal dialog", "confirmation dialog", "popup window")),
    "landing": Kind(forms.landing, ("landing page", "hero landing page", "marketing home page")),
    "calculator": Kind(forms.calculator, ("calculator", "calculator keypad", "number pad")),
    "profile": Kind(forms.profile, ("profile page", "user profile", "personal account page")),
    "dashboard": Kind(
        charts.dashboard, ("dashboard", "bar chart dashboard", "dashboard with a bar chart")
    ),
    "analytics": Kind(
        charts.analytics, ("line chart", "analytics line chart", "analytics page with a curve")
    ),
    "budget": Kind(charts.budget, ("pie chart", "budget donut chart", "spending ring chart")),
    "table": Kind(charts.table, ("data table", "table of rows and columns", "spreadsheet")),
    "weather": Kind(charts.weather, ("weather app", "weather forecast", "forecast screen")),
    "inbox": Kind(lists.inbox, ("email inbox", "inbox", "mail list")),
    "notifications": Kind(
        lists.notifications, ("notifications", "notification list", "activity alerts")
    ),
    "search": Kind(lists.search, ("search results", "search page", "list of search results")),
    "chat": Kind(lists.chat, ("chat", "chat conversation", "messaging screen", "message thread")),
    "article": Kind(lists.article, ("news article", "blog post", "article page")),
    "editor": Kind(lists.editor, ("code editor", "source code", "programming editor")),
    "calendar": Kind(grids.calendar, ("calendar", "month calendar", "calendar month view")),
    "kanban": Kind(grids.kanban, ("kanban board", "task board", "project board with cards")),
    "gallery": Kind(grids.gallery, ("photo gallery", "photo grid", "picture album")),
    "pricing": Kind(grids.pricing, ("pricing cards", "pricing page", "subscription plans")),
    "files": Kind(grids.files, ("file browser", "file manager", "folders and files")),
    "call": Kind(grids.call, ("video call", "video conference", "online meeting grid")),
    "player": Kind(media.player, ("music player", "media player", "audio player")),
    "map": Kind(media.place_map, ("map", "map with pins", "street map", "navigation map")),
}

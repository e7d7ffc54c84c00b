"""The charts of a page, as their data."""

import json
import re
from html import unescape
from html.parser import HTMLParser

FIGURE = re.compile(
    r"<figure class='(\w+)' data-kind='\1'><figcaption>(.*?)</figcaption>.*?"
    r"<script type='application/json'>(.*?)</script>"
)


def charts(html):
    """The data of each chart by its title, of a page that is well formed and asks for nothing."""
    HTMLParser().feed(html)
    body = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"<[^>]* (src|href)=(?!['\"]?data:)", body)
    found = [(unescape(title), json.loads(data)) for _, title, data in FIGURE.findall(body)]
    assert body.count("data-kind=") == len(found)
    return found

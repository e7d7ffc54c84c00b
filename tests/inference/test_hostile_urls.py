"""URLs that strangers send: no connection opens but to a public address.

The guard of `tests/conftest.py` records every connection and refuses those that leave this machine,
so an honest URL ends in `fetch_connect`, at the address that it leads to.
"""

import ipaddress
import itertools
import socket
import time
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inference.config import FetchConfig, UrlConfig
from inference.errors import FetchBlocked, FetchError
from inference.fetching.fetcher import Fetcher
from inference.fetching.urls import follow, normal_host, parse, tidy
from inference.loadtest.thumbnail_server import Reply
from tests.inference.hostile_urls import BLOCKED, HONEST, NAMES, UNKNOWN
from tests.name_server import NameServer

ALL_BLOCKED = list(itertools.chain(*BLOCKED.values()))


def numeric(host, port):
    """A numeric host as the operating system reads it, in all the spellings that it knows."""
    flags = socket.AI_NUMERICHOST  # and nothing leaves this machine
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [str(entry[4][0]) for entry in found]


def resolver(host, port):
    return NAMES[host] if host in NAMES else numeric(host, port)


@contextmanager
def opened(resolver, **config):
    fetcher = Fetcher(FetchConfig(**config), resolver)
    yield fetcher
    fetcher.close()


@pytest.fixture(scope="module")
def fetcher():
    with opened(resolver, attempts=1) as one:
        yield one


def code_of(fetcher, url):
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url, time.monotonic() + 30)
    return caught.value.code


def short(url):
    return ascii(url[:80])


def test_the_tables_are_long_and_say_nothing_twice():
    assert len(set(ALL_BLOCKED)) == len(ALL_BLOCKED) >= 150
    assert len({url for url, _, _ in HONEST}) == len(HONEST) >= 40


@pytest.mark.parametrize("url", ALL_BLOCKED, ids=short)
def test_a_hostile_url_opens_no_connection(fetcher, connections, url):
    assert code_of(fetcher, url) == "fetch_blocked"
    assert connections == []


# What `tidy` makes right: blanks at the ends are taken off, those in a path percent-encoded.
HARMLESS = {
    " http://example.com/",
    "http://example.com/ ",
    "\thttp://example.com/",
    "\nhttp://example.com/",
    "http://example.com/a b.png",
}


@pytest.mark.parametrize("url", ALL_BLOCKED, ids=short)
def test_a_hostile_url_that_is_tidied_opens_no_connection_either(fetcher, connections, url):
    """Five have no fault but blanks that cannot move the host; they lead where they say."""
    harmless = url in HARMLESS
    assert code_of(fetcher, tidy(url)) == ("fetch_connect" if harmless else "fetch_blocked")
    assert connections == [("93.184.216.34", 80)] * harmless


@pytest.mark.parametrize("url", BLOCKED["blanks and control characters"], ids=short)
def test_a_redirect_with_blanks_or_control_characters_leads_nowhere_else(url):
    """One that does not begin with a scheme is a path of the host that redirects."""
    location = url.encode().decode("latin-1")
    try:
        host = parse(follow("http://cdn.example.com/", location)).host
    except FetchBlocked:
        return
    assert host == ("example.com" if url in HARMLESS else "cdn.example.com")


@pytest.mark.parametrize("url", UNKNOWN, ids=short)
def test_a_name_that_does_not_exist_opens_no_connection(fetcher, connections, url):
    assert code_of(fetcher, url) == "fetch_dns"
    assert connections == []


@pytest.mark.parametrize(
    ("url", "address", "port"), HONEST, ids=[short(url) for url, _, _ in HONEST]
)
def test_an_honest_url_is_connected_to(fetcher, connections, url, address, port):
    assert code_of(fetcher, url) == "fetch_connect"
    assert connections == [(address, port)]


def test_a_redirect_to_any_of_them_opens_no_connection(thumbnail_server, connections):
    """Only those that a redirect leaves as they are: others are relative to where it stands."""
    kept = {url for url in ALL_BLOCKED if url.lower().startswith(("http://", "https://"))}
    kept -= {*BLOCKED["schemes"], *BLOCKED["blanks and control characters"]}
    assert len(kept) > 150
    allowed = UrlConfig(allow_hosts=(thumbnail_server.netloc,))
    with opened(resolver, attempts=1, urls=allowed) as fetcher:
        for number, url in enumerate(sorted(kept)):
            location = {"Location": url.encode().decode("latin-1")}
            thumbnail_server.replies[f"/{number}"] = Reply(status=302, headers=location)
            assert code_of(fetcher, thumbnail_server.url(f"/{number}")) == "fetch_blocked", url
    assert {address[0] for address in connections} == {"127.0.0.1"}
    assert thumbnail_server.requests == len(kept)


def is_public(address):
    """Public by Python's own registry and by nothing that carries another address inside.

    It shares nothing with `inference.fetching.urls`; NAT64's is judged by the address inside.
    """
    ip = ipaddress.ip_address(address)
    if ip.version == 4:
        return ip.is_global and not ip.is_multicast
    if ip.exploded.startswith("0064:ff9b:0000:0000:0000:0000:"):
        return is_public(str(ipaddress.IPv4Address(ip.packed[-4:])))
    inside = ip.ipv4_mapped or ip.sixtofour or ip.teredo
    return ip.is_global and not (inside or ip.is_multicast or ip.is_reserved or ip.is_site_local)


# Where an IPv4 address stands in an IPv6 one: what is before it, and how far from the right.
CARRIERS = [
    ("::", 0), ("::ffff:0:0", 0), ("::ffff:0:0:0", 0), ("64:ff9b::", 0), ("64:ff9b:1::", 0),
    ("2002::", 80), ("2001::", 64), ("fe80::5efe:0:0", 0),
]  # fmt: skip
v4 = st.ip_addresses(v=4)
carried = st.builds(
    lambda carrier, ip: ipaddress.IPv6Address(
        int(ipaddress.IPv6Address(carrier[0])) | int(ip) << carrier[1]
    ),
    st.sampled_from(CARRIERS),
    v4,
)
addresses = v4 | st.ip_addresses(v=6) | carried
PUBLIC = ["8.8.8.8", "2606:4700::1111"]
answers = st.lists(st.sampled_from(PUBLIC) | addresses.map(str), min_size=1, max_size=2)
WIDE = str.maketrans("0123456789.", "０１２３４５６７８９．")


def spellings_of(ip):
    """All the ways to write an address in a URL that some resolver or parser may know."""
    if ip.version == 6:
        text = f"[{ip}]"
        return [text, text.upper(), f"[{ip.exploded}]", f"[{ip}%25eth0]", str(ip)]
    number, (a, b, c, d) = int(ip), ip.packed
    return [
        str(ip), str(number), str(number + 2**32), hex(number), f"0{number:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a:#X}.{b}.0{c:o}.{d}",
        f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}", f"{a:03}.{b:03}.{c:03}.{d:03}",
        str(ip).translate(WIDE), str(ip).replace(".", "。"), str(ip).replace(".", "%2e"),
        f"[{ip}]", f"{ip}.nip.example",
    ]  # fmt: skip


PIECES = [
    "example.com", "127.0.0.1", "8.8.8.8", "localhost", "[::1]", "0x7f", "ö", "１", "①", ".", "。",
    "..", "-", "_", ":", "::", ":80", "@", "/", "//", "\\", "?", "#", "%", "%2f", "%31", "%00", ";",
    ",", "<", "|", "^", "[", "]", " ", "\t", "\n", "\x00", "\u200b", "\ud800", "1", "xn--", "*",
]  # fmt: skip
spelled = addresses.flatmap(lambda ip: st.sampled_from(spellings_of(ip)))
jumbled = st.lists(st.sampled_from(PIECES) | spelled, max_size=4).map("".join)
urls = st.tuples(
    st.sampled_from(["http://", "https://"] * 6 + ["HTTP://", "http:", "http:\\\\", "//", ""]),
    st.sampled_from([""] * 12 + ["user@", "@", "8.8.8.8@", "8.8.8.8\\@", "8.8.8.8#@", "a:b@"]),
    spelled | jumbled,
    st.sampled_from([""] * 4 + [".", ".."]),
    st.sampled_from(["", ":80", ":443", ":"] * 4 + [":0", ":00080", ":8080", ":65616", ":٨٠"]),
    st.sampled_from(["", "/a.png", "/@8.8.8.8/", "?@8.8.8.8", "#@8.8.8.8", "\\@8.8.8.8"]),
).map("".join)


class Anything:
    """A resolver that reads numeric hosts and gives all names the same addresses."""

    def __init__(self):
        self.know(PUBLIC)

    def know(self, addresses):
        self.addresses = addresses
        self.asked, self.given = [], []

    def __call__(self, host, port):
        self.asked.append((normal_host(host), port))
        try:
            found = numeric(host, port)
        except socket.gaierror:
            found = self.addresses
        self.given += found
        return found


@pytest.fixture(scope="module")
def anything():
    return Anything()


@pytest.fixture(scope="module")
def trusting_fetcher(anything):
    """One that only its own policy holds back."""
    with opened(anything, attempts=1) as one:
        yield one


same_connections = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@same_connections
@given(url=urls)
@example(url="http://name.example/")
@example(url="http://name.example<.example/")
@example(url="http://[64:ff9b::8.8.8.8]:443")
def test_no_url_ever_connects_to_an_address_that_is_not_public(
    trusting_fetcher, anything, connections, url
):
    """Whatever it says, all its names being public; what was checked is what was looked up."""
    connections.clear()
    anything.know(PUBLIC)
    code = code_of(trusting_fetcher, url)
    assert code in {"fetch_blocked", "fetch_dns", "fetch_connect"}
    assert all(is_public(address) and port in {80, 443} for address, port in connections)
    assert [address for address, _ in connections] == anything.given * (code == "fetch_connect")
    if anything.asked:
        assert anything.asked == [(parse(url).host, parse(url).port)]


@same_connections
@given(url=urls, bytewise=st.booleans())
def test_no_tidied_url_and_no_redirect_does_either(
    trusting_fetcher, anything, connections, url, bytewise
):
    """What `tidy` and `follow` make of it goes the same way, and is held to the same law."""
    connections.clear()
    anything.know(PUBLIC)
    try:
        location = url.encode("utf-8", "surrogatepass").decode("latin-1")
        url = follow("http://8.8.8.8/", location) if bytewise else tidy(url)
    except FetchBlocked:
        return
    code = code_of(trusting_fetcher, url)
    assert code in {"fetch_blocked", "fetch_dns", "fetch_connect"}
    assert all(is_public(address) and port in {80, 443} for address, port in connections)
    if anything.asked:
        assert anything.asked == [(parse(url).host, parse(url).port)]


@same_connections
@given(found=answers)
def test_no_name_ever_leads_to_an_address_that_is_not_public(
    trusting_fetcher, anything, connections, found
):
    """Whatever it resolves to: one address that is not public is one too many."""
    connections.clear()
    anything.know(found)
    code = code_of(trusting_fetcher, "https://name.example/a.png")
    assert all(is_public(address) for address, _ in connections)
    assert connections == [(address, 443) for address in found] * (code == "fetch_connect")
    assert code in {"fetch_blocked", "fetch_connect"}


REBINDING = {"rebind.example": [["93.184.216.34"], ["127.0.0.1"]]}


def test_the_name_server_answers_public_first_and_loopback_second():
    """What the tests below rest on: who looks up twice is led astray."""
    with NameServer(REBINDING) as names:
        answers = [names.resolve("rebind.example", 80) for _ in range(3)]
    assert answers == [["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]]


def test_a_name_that_rebinds_to_loopback_gets_nowhere(connections):
    """The answer that was checked is connected to; the second attempt asks, and checks, again."""
    with NameServer(REBINDING) as names, opened(names.resolve) as fetcher:
        assert code_of(fetcher, "http://rebind.example/a.png") == "fetch_blocked"
    assert connections == [("93.184.216.34", 80)]
    assert names.asked == ["rebind.example"] * 2


def test_one_look_up_is_all_that_a_connection_takes(connections):
    with NameServer(REBINDING) as names, opened(names.resolve, attempts=1) as fetcher:
        assert code_of(fetcher, "https://rebind.example/a.png") == "fetch_connect"
    assert connections == [("93.184.216.34", 443)]
    assert names.asked == ["rebind.example"]


def test_a_redirect_to_a_name_that_rebinds_gets_nowhere(thumbnail_server, connections):
    location = {"Location": "http://rebind.example/latest/meta-data/"}
    thumbnail_server.replies["/a"] = Reply(status=302, headers=location)
    script = REBINDING | {"cdn.example": [["127.0.0.1"]]}
    port = thumbnail_server.netloc.split(":")[1]
    allowed = UrlConfig(allow_hosts=("cdn.example",))
    with NameServer(script) as names, opened(names.resolve, urls=allowed) as fetcher:
        assert code_of(fetcher, f"http://cdn.example:{port}/a") == "fetch_blocked"
    assert set(connections) == {("127.0.0.1", int(port)), ("93.184.216.34", 80)}
    assert names.asked.count("rebind.example") == 2
    assert thumbnail_server.requests == 2


def test_a_name_with_both_addresses_in_one_answer_gets_nowhere(connections):
    script = {"both.example": [["93.184.216.34", "127.0.0.1"]]}
    with NameServer(script) as names, opened(names.resolve) as fetcher:
        assert code_of(fetcher, "http://both.example/a.png") == "fetch_blocked"
        assert code_of(fetcher, "http://none.example/a.png") == "fetch_dns"
    assert connections == []

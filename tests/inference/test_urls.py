"""Which URLs and addresses may be fetched."""

import ipaddress
import re
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import pytest
import requests
from hypothesis import assume, example, given
from hypothesis import strategies as st

from inference.config import UrlConfig
from inference.errors import FetchBlocked
from inference.fetching.urls import UrlPolicy, follow, is_public, normal_host, parse, tidy

PUBLIC = ["8.8.8.8", "93.184.216.34", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::5"]
PUBLIC += ["64:ff9b::808:808"]
NOT_PUBLIC = """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1
    224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
    64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1
    fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1
    localhost 1.2.3 0x7f000001 999.1.1.1
""".split()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_other_addresses_are_not(address):
    assert not is_public(address)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_is_public_that_python_calls_private(address):
    """The reverse does not hold: `is_global` is too generous."""
    nat64 = ipaddress.ip_network("64:ff9b::/96")
    if is_public(str(address)) and not (address.version == 6 and address in nat64):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://example.com/a.png", "example.com", 80),
        ("https://EXAMPLE.com./a?b=c#d", "example.com", 443),
        ("https://example.com:443/", "example.com", 443),
        ("http://[2606:4700::1111]/x", "2606:4700::1111", 80),
        ("https://bücher.example/x", "xn--bcher-kva.example", 443),
    ],
)
def test_honest_urls_are_understood(url, host, port):
    target = parse(url)
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/a.png",
        "//example.com/a.png",
        "ftp://example.com/a.png",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "http://",
        "http:///a.png",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://exa mple.com/",
        "http://example.com/\r\nHost: 127.0.0.1",
        "http://example.com/\x00",
        "http://example.com:99999/",
        "http://example.com:abc/",
        "http://[::1/",
        "http://" + "a" * 9000 + ".com/",
        "http://[fe80::1%25eth0]/",
        "http://16909060/",
        "http://1.2.772/",
        "http://0x1.2.3.4/",
        "http://01.02.03.04/",
        "http://0x7f000001/",
        "http://1.2.3.4.5/",
        "http://a<b.example/",
        "http://127.0.0.1;.example/",
    ],
)
def test_other_urls_are_refused_before_any_look_up(url):
    with pytest.raises(FetchBlocked):
        UrlPolicy(UrlConfig()).target(url)


def target_of(text):
    """What a caller's text leads to, or None where it is refused."""
    try:
        return parse(tidy(text))
    except FetchBlocked:
        return None


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        (" \t\r\n\fhttps://a.example/b \t\r\n\f", "https://a.example/b"),
        ("http://a.example/b c?d e#f g", "http://a.example/b%20c?d%20e#f%20g"),
        ("HTTP://a.example?b c", "HTTP://a.example?b%20c"),
        ("http://a.example/%20%41%zz%", "http://a.example/%20%41%25zz%25"),
        ("b c", "b%20c"),
        ("//a b/c d", "//a b/c%20d"),
        ("http://a b/c d", "http://a b/c%20d"),
        ("http:/a b", "http:/a b"),
        ("http: //a/b c", "http: //a/b c"),
        ("\x00http://a/b", "\x00http://a/b"),
        ("\xa0http://a/b ", "%C2%A0http://a/b"),
        (" s3://bucket/a b%\n", "s3://bucket/a b%"),
        (" DATA:image/png;base64,AA A%\n", "DATA:image/png;base64,AA A%"),
        (" ", ""),
    ],
)
def test_blanks_that_do_no_harm_are_taken_off_or_encoded(text, tidied):
    assert tidy(text) == tidied


def test_what_is_sent_is_made_of_what_was_checked():
    target = parse(tidy("HTTPS://BÜCHER.example.:443/ö/../a b?c=ü#d"))
    assert target.url == "https://xn--bcher-kva.example/a%20b?c=%C3%BC"
    assert parse("http://[2606:4700:0::1111]:8080").url == "http://[2606:4700::1111]:8080/"


PIECES = [
    "http:", "https:", "HTTP:", "/", "//", "a.example", "b.example", "127.0.0.1", "[::1]", "bücher",
    ":80", ":8080", ":", "@", "?", "#", "\\", "%", "%2f", "%41", " ", "\t", "\r\n", "\x00", "\x7f",
    "\xa0", "\u2028", "\u3000", "é", "\uff11", ".", "..", "a b", "s3:", "data:,", "[", "]", "|",
]  # fmt: skip
jumbled = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
texts = jumbled | st.tuples(st.sampled_from(["http://", " https://a.example"]), jumbled).map(
    "".join
)


@given(texts | st.text())
@example("http://a.example/ b\xa0c%?d e#f")
@example("http://[::1]:8080?a b")
@example("HTTP://0..À")
@example("http://a.example/%2e%2E/%7e%7Fa%2dz?%30%40%5A%5B%5f%60%41%2f")
@example("http://a.example/a?")
def test_any_text_is_refused_or_leads_to_one_host_for_every_parser(text):
    """urllib3 checks and connects, requests prepares, urllib splits: all see the same."""
    target = target_of(text)
    if target is None:
        return
    assert all("!" <= letter <= "~" for letter in target.url)
    for url in (target.url, requests.Request("GET", target.url).prepare().url):
        parts = urlsplit(url)
        assert normal_host(parts.hostname) == target.host
        assert (parts.port or {"http": 80, "https": 443}[parts.scheme]) == target.port
        assert parts.scheme == target.scheme
    assert requests.Request("GET", target.url).prepare().path_url == target.path
    written = urlsplit(tidy(text)).hostname
    assert "%" in written or normal_host(written) == target.host


@given(texts | st.text())
def test_twice_is_once(text):
    assert tidy(tidy(text)) == tidy(text)
    target = target_of(text)
    if target is not None and len(target.url) <= 8192:
        assert parse(target.url) == parse(tidy(target.url)) == target


AUTHORITIES = ["http://a.example:80", "https://127.0.0.1", "http://[2606:4700::1111]:443"]
FAULTS = " \t\n\r\f\v\x00\x01\x1b\x1f\x7f\x80\x85\x9f\xa0\u2028\u2029\\"


@given(
    st.sampled_from(AUTHORITIES), st.text(FAULTS, min_size=1, max_size=3), st.integers(1), st.data()
)
def test_blanks_anywhere_before_the_path_stay_refused(authority, fault, index, data):
    """In the scheme, the slashes, the host, the port or behind it."""
    index = 1 + index % len(authority)
    rest = data.draw(st.sampled_from(["/", "/a b.png", "?a b", "#a b"]))
    text = authority[:index] + fault + authority[index:] + rest
    assert target_of(text) is None
    location = text.encode().decode("latin-1")
    try:
        assert parse(follow("http://base.example/", location)).host == "base.example"
    except FetchBlocked:
        return


@given(st.sampled_from("\t\n\r\f\v\x00\x1f\x7f\x80\x9f\u2028\u2029\\"), texts)
def test_control_characters_line_ends_and_backslashes_stay_refused_in_a_path(fault, text):
    assert target_of(f"http://a.example/b{fault}{text}c") is None


# No part of a reference ends with one of these, and urllib loses a last `;`.
segments = st.text(st.characters(codec="utf-8", exclude_characters="/?#\\%.;"), min_size=1)


@given(segments)
def test_a_path_is_asked_for_as_it_was_written(segment):
    target = target_of(f"http://a.example/-{segment}-")
    assume(target is not None)
    assert unquote(urlsplit(target.url).path) == f"/-{segment}-"


@given(st.binary(min_size=1))
def test_a_redirects_path_is_asked_for_byte_by_byte(raw):
    assume(not set(raw) & {*b"/?#\\%.;"})
    try:
        target = parse(follow("http://a.example/", f"/-{raw.decode('latin-1')}-"))
    except FetchBlocked:
        return
    assert unquote_to_bytes(urlsplit(target.url).path) == b"/-" + raw + b"-"


@given(st.binary() | texts.map(str.encode))
def test_a_redirect_of_any_bytes_is_refused_or_leads_to_one_host(raw):
    try:
        target = parse(follow("http://base.example/", raw.decode("latin-1")))
    except FetchBlocked:
        return
    assert all("!" <= letter <= "~" for letter in target.url)
    assert normal_host(urlsplit(target.url).hostname) == target.host
    scheme_and_host = raw.lstrip(b"\t\n\x0c\r ").lower().startswith((b"http", b"//"))
    assert target.host == "base.example" or scheme_and_host


def test_other_ports_are_refused():
    with pytest.raises(
        FetchBlocked, match="port 8080 is not allowed without --allow-host example.com:8080$"
    ):
        UrlPolicy(UrlConfig()).target("http://example.com:8080/")


@pytest.mark.parametrize(
    ("rule", "url", "matches"),
    [
        ("cdn.example", "http://cdn.example:8080/", True),
        ("CDN.example", "http://cdn.EXAMPLE.:8080/", True),
        ("cdn.example", "http://a.cdn.example:8080/", False),
        (".cdn.example", "http://a.cdn.example:8080/", True),
        (".cdn.example", "http://cdn.example:8080/", False),
        (".cdn.example", "http://evilcdn.example:8080/", False),
        ("cdn.example:8080", "http://cdn.example:8080/", True),
        ("cdn.example:9090", "http://cdn.example:8080/", False),
        ("127.0.0.1", "http://127.0.0.1:8080/", True),
        ("::1", "http://[::1]:8080/", True),
        ("[::1]:8080", "http://[::1]:8080/", True),
        ("2606:4700:0::1111", "http://[2606:4700::1111]:8080/", True),
        ("bücher.de", "http://xn--bcher-kva.de:8080/", True),
        ("xn--bcher-kva.de", "http://bücher.de:8080/", True),
        (".bücher.de", "http://a.bücher.de:8080/", True),
        ("[::1]:9090", "http://[::1]:8080/", False),
    ],
)
def test_host_rules(rule, url, matches):
    """A host or a .suffix, with an optional :port, exempts from port and address checks."""
    allowing = UrlPolicy(UrlConfig(allow_hosts=(rule,)))
    denying = UrlPolicy(UrlConfig(deny_hosts=(rule,), allow_hosts=("." + "x", url.split("/")[2])))
    if matches:
        target = allowing.target(url)
        allowing.check_addresses(target.host, target.port, ["127.0.0.1"])
        with pytest.raises(FetchBlocked, match="denied"):
            denying.target(url)
    else:
        with pytest.raises(FetchBlocked):
            allowing.target(url)


def test_only_hosts_restricts_and_exempts_from_nothing():
    policy = UrlPolicy(UrlConfig(only_hosts=("cdn.example",)))
    policy.target("https://cdn.example/")
    with pytest.raises(FetchBlocked, match="not one of the hosts of --only-host"):
        policy.target("https://example.com/")
    with pytest.raises(FetchBlocked, match="not public"):
        policy.check_addresses("cdn.example", 443, ["10.0.0.1"])


def test_a_denied_address_is_denied_under_any_name():
    policy = UrlPolicy(UrlConfig(deny_hosts=("1.2.3.4",), allow_hosts=("cdn.example",)))
    policy.target("http://cdn.example/")
    with pytest.raises(FetchBlocked, match="denied"):
        policy.check_addresses("cdn.example", 80, ["1.2.3.4"])


METADATA = """
    169.254.169.254 169.254.169.253 169.254.170.2 169.254.170.23 100.100.100.200
    fd00:ec2::254 fd00:ec2::23 fd20:ce::254
    ::ffff:169.254.169.254 ::ffff:0:169.254.169.254 ::169.254.169.254 64:ff9b::a9fe:a9fe
    64:ff9b:1::a9fe:aa02
""".split()


@pytest.mark.parametrize("address", METADATA)
def test_no_rule_opens_a_metadata_service(address):
    """Neither its address nor a name that is allowed and leads to it, beside a public one, too."""
    policy = UrlPolicy(UrlConfig(allow_hosts=("cdn.internal", address)))
    for host, addresses in (("cdn.internal", ["8.8.8.8", address]), (address, [address])):
        with pytest.raises(FetchBlocked, match="a metadata service, which is never fetched from$"):
            policy.check_addresses(host, 80, addresses)


@pytest.mark.parametrize("address", ["169.254.1.2", "10.0.0.1", "fd00::254", "::ffff:10.0.0.1"])
def test_an_allowed_name_may_lead_to_other_private_addresses(address):
    """169.254.1.2 is the machine itself to a container of podman's."""
    policy = UrlPolicy(UrlConfig(allow_hosts=("host.containers.internal",)))
    policy.check_addresses("host.containers.internal", 80, [address])


@pytest.mark.parametrize(
    ("rule", "host"),
    [("127.0.0.1", "localhost"), ("localhost:8080", "127.0.0.1"), ("127.0.0.1", "[::1]")],
)
def test_the_names_of_this_machine_are_different_hosts_and_the_refusal_says_so(rule, host):
    """A rule for one would else reach what listens only on another."""
    policy, other = UrlPolicy(UrlConfig(allow_hosts=(rule,))), rule.partition(":")[0]
    needed = rf"{re.escape(f'--allow-host {host}:8080 ({other} is another host)')}$"
    with pytest.raises(FetchBlocked, match=f"port 8080 is not allowed without {needed}"):
        policy.target(f"http://{host}:8080/")
    with pytest.raises(FetchBlocked, match=f"not public, nor allowed by {needed}"):
        policy.check_addresses(host.strip("[]"), 8080, ["127.0.0.1"])


@given(st.sampled_from(["cdn.internal", "10.0.0.1", "fd00::1"]), st.integers(1, 65535))
def test_the_rule_that_a_refusal_names_allows_it(host, port):
    def rule(check):
        with pytest.raises(FetchBlocked) as refused:
            check(UrlPolicy(UrlConfig()))
        return re.search(r"--allow-host (\S+)", str(refused.value))[1]

    def check(policy):
        policy.check_addresses(host, port, ["10.0.0.1"])

    check(UrlPolicy(UrlConfig(allow_hosts=(rule(check),))))


def test_one_private_address_refuses_the_name():
    with pytest.raises(FetchBlocked, match="not public"):
        UrlPolicy(UrlConfig()).check_addresses("example.com", 443, ["8.8.8.8", "127.0.0.1"])


def test_buckets_are_refused_unless_named():
    with pytest.raises(
        FetchBlocked, match="'thumbnails' is not allowed without --allow-bucket thumbnails$"
    ):
        UrlPolicy(UrlConfig()).check_bucket("thumbnails")
    UrlPolicy(UrlConfig(allow_buckets=("thumbnails",))).check_bucket("thumbnails")
    UrlPolicy(UrlConfig(allow_buckets=("*",))).check_bucket("thumbnails")

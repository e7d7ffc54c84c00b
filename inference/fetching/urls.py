"""Which URLs and addresses may be fetched. Pure: nothing here resolves or connects."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urljoin

import idna
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from inference.config import UrlConfig
from inference.errors import FetchBlocked

DEFAULT_PORTS = {"http": 80, "https": 443}
# The usual names of this machine. They are different hosts to a rule.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAX_URL_CHARS = 8192
# Hosts whose normal form is kept. Most batches have few hosts.
HOSTS = 256
# Stripped from both ends of a URL: the ASCII white space of the WHATWG URL standard.
EDGES = "\t\n\f\r "

# IANA's special-purpose registries, as of 2025: all that are not public unicast addresses.
# `ipaddress.is_global` is not enough: Python 3.11 calls multicast, NAT64 and 6to4 global.
_NOT_PUBLIC_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = [
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Where a machine's own credentials are read: AWS (EC2, ECS, EKS), Google, Azure, Oracle; Alibaba.
_METADATA_V4 = [
    ipaddress.IPv4Network(network)
    for network in ("169.254.169.0/24", "169.254.170.0/24", "100.100.100.200/32")
]
_METADATA_V6 = [ipaddress.IPv6Network(network) for network in ("fd00:ec2::/32", "fd20:ce::/32")]
# The last four bytes of an address in one of these are an IPv4 address: mapped, translated.
_IPV4_INSIDE = [_NAT64] + [
    ipaddress.IPv6Network(network)
    for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48")
]
# A host whose last label is a number is an address, in a spelling that resolvers accept.
_NUMERIC = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")
_BLANK_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
# The layers below escape or cut other characters (a zone, an escape, `<`, `;`), so they would look
# up another host than the one checked here. An address may have colons.
_HOST = re.compile(r"[0-9a-z_:-][0-9a-z._:-]*")
# The head ends where urllib3 ends the authority; a relative reference may have none. Other schemes,
# and `http:` without `//`, do not match: these URLs stay as they are.
_HEAD_AND_REST = re.compile(
    r"((?:https?:)?//[^\\/?#]*|(?![a-z][a-z0-9+.-]*:))(.*)", re.IGNORECASE | re.DOTALL
)
# Blanks, and a percent sign that begins no escape.
_TO_ENCODE = re.compile(r"[ \xa0]|%(?![0-9a-fA-F]{2})")
# Escapes of letters, digits and `-._~`, as urllib3 writes them: in upper case.
_NEEDLESS_ESCAPE = re.compile("%(2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)")
# How `surrogateescape` represents a byte that is not UTF-8.
_LONE_BYTE = re.compile(r"[\udc80-\udcff]")


@dataclass(frozen=True)
class Target:
    """The checked target of an http or https URL: a host in lower case and a port.

    url: built from the checked parts: ASCII, percent-encoded, without a fragment.
    path: the path and query to send, as requests writes them: letters, digits and `-._~` are not
    percent-encoded.
    """

    scheme: str
    host: str
    port: int
    url: str
    path: str


def is_public(address: str) -> bool:
    """Return whether an IP address from the resolver is a public unicast address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_V4)
    if ip in _NAT64:
        return is_public(str(_last_ipv4(ip)))
    return ip in _GLOBAL_UNICAST_V6 and not any(ip in network for network in _NOT_PUBLIC_V6)


def is_metadata_service(address: str) -> bool:
    """Return whether an IP address, or the IPv4 one inside it, is a cloud's metadata service."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and any(ip in network for network in _IPV4_INSIDE):
        ip = _last_ipv4(ip)
    networks = _METADATA_V4 if isinstance(ip, ipaddress.IPv4Address) else _METADATA_V6
    return any(ip in network for network in networks)


def _last_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)


class UrlPolicy:
    """The operator's rules for URLs, hosts, ports, addresses and buckets."""

    def __init__(self, config: UrlConfig) -> None:
        self._config = config

    def target(self, url: str) -> Target:
        """Parse an http or https URL and check what can be checked before the look-up.

        Raises:
            FetchBlocked: it cannot be parsed, or its scheme, host or port is not allowed.
        """
        target = parse(url)
        config = self._config
        if _any_matches(config.deny_hosts, target.host, target.port):
            raise FetchBlocked(f"the host {target.host} is denied by --deny-host")
        if config.only_hosts and not _any_matches(config.only_hosts, target.host, target.port):
            raise FetchBlocked(f"the host {target.host} is not one of the hosts of --only-host")
        exempt = self._is_exempt(target.host, target.port)
        if not exempt and target.port not in DEFAULT_PORTS.values():
            needed = self._needed(target.host, target.port)
            raise FetchBlocked(f"port {target.port} is not allowed without {needed}")
        return target

    def check_addresses(self, host: str, port: int, addresses: list[str]) -> None:
        """Check the addresses of a name; a single address that is not public blocks the name.

        Raises:
            FetchBlocked: an address is not public, and the host is not exempt; or it is a metadata
                service, which no rule opens.
        """
        are_public = all(is_public(address) for address in addresses)
        if not are_public and any(is_metadata_service(address) for address in addresses):
            raise FetchBlocked(f"{host} is a metadata service, which is never fetched from")
        if any(_any_matches(self._config.deny_hosts, one, port) for one in addresses):
            raise FetchBlocked(f"the address of {host} is denied by --deny-host")
        if not are_public and not self._is_exempt(host, port):
            needed = self._needed(host, port)
            raise FetchBlocked(f"the address of {host} is not public, nor allowed by {needed}")

    def check_bucket(self, bucket: str) -> None:
        """Raise FetchBlocked unless the bucket may be read."""
        allowed = self._config.allow_buckets
        if bucket not in allowed and "*" not in allowed:
            raise FetchBlocked(
                f"the bucket {bucket!r} is not allowed without --allow-bucket {bucket}"
            )

    def _is_exempt(self, host: str, port: int) -> bool:
        return _any_matches(self._config.allow_hosts, host, port)

    def _needed(self, host: str, port: int) -> str:
        """Return the flag that would allow a host and a port, for a message."""
        flag = f"--allow-host {_rule(host, port)}"
        if host in LOOPBACK:
            for other in LOOPBACK:
                if self._is_exempt(other, port):
                    return f"{flag} ({other} is another host)"
        return flag


def tidy(url: str) -> str:
    """Remove or encode the harmless blanks of a URL or a relative reference.

    White space at both ends is removed. After the authority, blanks and percent signs that begin no
    escape are percent-encoded. Blanks anywhere else stay, and `parse` refuses them.
    """
    url = url.strip(EDGES)
    found = _HEAD_AND_REST.fullmatch(url)
    if found is None:
        return url
    head, rest = found.groups()
    return str(head + _TO_ENCODE.sub(lambda one: quote(one[0]), rest))


def follow(url: str, location: str) -> str:
    """Return the URL that a redirect leads to.

    Args:
        url: the URL that was redirected.
        location: the header as http.client reads it, one character per byte.

    Raises:
        FetchBlocked: it has characters that can move the end of a host, or cannot be parsed.
    """
    reference = tidy(_decoded(location))
    # urljoin removes tabs and line ends, even inside a host.
    if _BLANK_OR_CONTROL.search(reference):
        raise FetchBlocked("the redirect's URL has blanks, backslashes or control characters")
    try:
        return urljoin(url, reference)
    except ValueError as exc:
        raise FetchBlocked("the redirect's URL cannot be parsed") from exc


def _decoded(header: str) -> str:
    """Decode a header's bytes as UTF-8; percent-encode invalid ones, as browsers do."""
    text = header.encode("latin-1").decode("utf-8", "surrogateescape")
    return _LONE_BYTE.sub(lambda one: f"%{ord(one[0]) - 0xDC00:02X}", text)


def parse(url: str) -> Target:
    """Parse an http or https URL from `tidy`, with the same parser that the connection uses.

    Raises:
        FetchBlocked: it cannot be parsed, or has a part that no thumbnail's URL needs.
    """
    if len(url) > MAX_URL_CHARS:
        raise FetchBlocked(f"the URL has more than {MAX_URL_CHARS} characters")
    if _BLANK_OR_CONTROL.search(url):
        raise FetchBlocked("the URL has blanks, backslashes or control characters")
    try:
        parts = parse_url(url)
    except (LocationParseError, ValueError) as exc:
        raise FetchBlocked("the URL cannot be parsed") from exc
    scheme = (parts.scheme or "").lower()
    if scheme not in DEFAULT_PORTS:
        raise FetchBlocked("the URL's scheme is not http, https, s3 or data")
    if not parts.host:
        raise FetchBlocked("the URL has no host")
    if parts.auth is not None:
        raise FetchBlocked("the URL carries a user name")
    port = DEFAULT_PORTS[scheme] if parts.port is None else parts.port
    host = normal_host(parts.host)
    if not _HOST.fullmatch(host):
        raise FetchBlocked("the URL's host has characters that no host has")
    if _NUMERIC.fullmatch(host) and not _is_address(host):
        raise FetchBlocked("the URL's address is not written in the usual way")
    path = parts.path or "/"
    url = f"{scheme}://{_authority(scheme, host, port)}{path}"
    if parts.query is not None:
        url += f"?{parts.query}"
    sent = f"{path}?{parts.query}" if parts.query else path
    return Target(scheme, host, port, url, _unescaped(sent))


def _authority(scheme: str, host: str, port: int) -> str:
    """Write the checked host and port as a URL does."""
    shown_host = f"[{host}]" if ":" in host else host
    return shown_host if port == DEFAULT_PORTS[scheme] else f"{shown_host}:{port}"


def _unescaped(text: str) -> str:
    """Decode the escapes of characters that need none."""
    return _NEEDLESS_ESCAPE.sub(lambda one: chr(int(one[1], 16)), text)


@lru_cache(HOSTS)
def normal_host(host: str) -> str:
    """Return a host in the form that rules match.

    Lower case, no brackets, no trailing dot; addresses in their short form, names in IDNA's form.
    """
    host = host.lower().strip("[]").rstrip(".")
    if _is_address(host):
        return ipaddress.ip_address(host).compressed
    try:
        return ".".join(map(_normal_label, host.split(".")))  # as urllib3: an empty label stays
    except idna.IDNAError:
        return host


def _normal_label(label: str) -> str:
    return label if label.isascii() else idna.encode(label, uts46=True).decode()


@lru_cache(HOSTS)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _rule(host: str, port: int) -> str:
    """Write the narrowest rule that matches a host and a port, for a message."""
    if port in DEFAULT_PORTS.values():
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _any_matches(rules: tuple[str, ...], host: str, port: int) -> bool:
    host = normal_host(host)
    return any(_matches(rule.lower(), host, port) for rule in rules)


def _matches(rule: str, host: str, port: int) -> bool:
    name, _, rule_port = rule.rpartition(":")
    if not name or not rule_port.isdigit() or (":" in name and not name.startswith("[")):
        name, rule_port = rule, ""
    if rule_port and int(rule_port) != port:
        return False
    if name.startswith("."):
        return host.endswith("." + normal_host(name[1:]))
    return host == normal_host(name)

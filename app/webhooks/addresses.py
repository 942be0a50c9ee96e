"""Which addresses a message may be sent to: public ones, and those that the settings allow.

Whoever may create endpoints could otherwise let the service call what only it can reach: other services of its network, itself,
or the metadata of a cloud, which has credentials. `ipaddress.is_global` is not enough: it takes some of these ranges for public.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# All of IANA's special-purpose ranges of IPv4, also those that are global but serve no receiver, and what is no unicast.
_BLOCKED_V4 = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "a private network",
    "100.64.0.0/10": "shared by a provider's customers",
    "127.0.0.0/8": "this machine",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "a private network",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "for documentation",
    "192.31.196.0/24": "the sink AS112",
    "192.52.193.0/24": "a relay of multicast",
    "192.88.99.0/24": "a relay of 6to4",
    "192.168.0.0/16": "a private network",
    "192.175.48.0/24": "the sink AS112",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
# Of IPv6, only 2000::/3 is unicast between all machines. In it, these are special. What contains an IPv4 address (mapped,
# compatible, translated, 6to4, Teredo) is blocked whatever that is: no receiver has such an address.
_UNICAST_V6 = IPv6Network("2000::/3")
_BLOCKED_V6 = {
    "::/128": "unspecified",
    "::1/128": "this machine",
    "::ffff:0:0/96": "an IPv4 address in IPv6",
    "::ffff:0:0:0/96": "an IPv4 address in IPv6",
    "::/96": "an IPv4 address in IPv6",
    "64:ff9b::/96": "an IPv4 address in IPv6 (NAT64)",
    "64:ff9b:1::/48": "an IPv4 address in IPv6 (NAT64)",
    "100::/64": "discarded",
    "100:0:0:1::/64": "a dummy prefix",
    "2001::/32": "an IPv4 address in IPv6 (Teredo)",
    "2001::/23": "reserved for protocols",
    "2001:db8::/32": "for documentation",
    "2002::/16": "an IPv4 address in IPv6 (6to4)",
    "2620:4f:8000::/48": "the sink AS112",
    "3ffe::/16": "the former 6bone",
    "3fff::/20": "for documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "a private network",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_BLOCKED: list[tuple[Network, str]] = [(ip_network(text), kind) for text, kind in (_BLOCKED_V4 | _BLOCKED_V6).items()]
# The middle of an ISATAP address, which ends with the IPv4 address of a host, in networks of any prefix.
_ISATAP = {0x00005EFE, 0x02005EFE, 0x01005EFE, 0x03005EFE}


def parse_address(text: str) -> Address:
    """Return an address as the resolver writes it, without its zone. Raises ValueError."""
    return ip_address(text.partition("%")[0])


def blocked_kind(address: Address) -> str | None:
    """Return what a blocked address is, such as `link-local`; None for a public one."""
    for network, kind in _BLOCKED:
        if address.version == network.version and address in network:
            return kind
    if isinstance(address, IPv6Address):
        if address not in _UNICAST_V6:
            return "reserved"
        if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return "an IPv4 address in IPv6 (ISATAP)"
    return None

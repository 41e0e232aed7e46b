"""What is known of names and addresses that many share. Small tables, each with its source; what the public suffix list has is not repeated here."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

CDNS = {
    "akamaiedge.net": "Akamai",
    "akamai.net": "Akamai",
    "akamaihd.net": "Akamai",
    "akamaized.net": "Akamai",
    "edgekey.net": "Akamai",
    "edgesuite.net": "Akamai",
    "azureedge.net": "Azure CDN",
    "azurefd.net": "Azure Front Door",
    "t-msedge.net": "Azure Front Door",
    "b-cdn.net": "Bunny",
    "cdn77.org": "CDN77",
    "cdn77-ssl.net": "CDN77",
    "cdn.cloudflare.net": "Cloudflare",
    "cloudfront.net": "CloudFront",
    "fastly.net": "Fastly",
    "fastlylb.net": "Fastly",
    "gcdn.co": "Gcore",
    "incapdns.net": "Imperva",
    "impervadns.net": "Imperva",
    "kxcdn.com": "KeyCDN",
    "cachefly.net": "CacheFly",
    "wpc.v0cdn.net": "Edgio",
}
"""Names below which a CDN answers for all its customers. Their own documentation (what customers point CNAMEs to); that such an edge may take the
customer from inside TLS: MITRE ATT&CK T1090.004, and Subramani et al., "Discovering and Measuring CDNs Prone to Domain Fronting" (WWW 2024).
"""

_RESOLVER_NAMES = {
    "Cloudflare": ("cloudflare-dns.com", "one.one.one.one", "1dot1dot1dot1.cloudflare-dns.com", "mozilla.cloudflare-dns.com",
                   "security.cloudflare-dns.com", "family.cloudflare-dns.com", "chrome.cloudflare-dns.com", "dns.cloudflare.com"),
    "Google": ("dns.google", "dns.google.com", "dns64.dns.google", "8888.google"),
    "Quad9": ("dns.quad9.net", "dns9.quad9.net", "dns10.quad9.net", "dns11.quad9.net", "dns12.quad9.net"),
    "OpenDNS": ("doh.opendns.com", "dns.opendns.com", "doh.familyshield.opendns.com", "doh.umbrella.com", "dns.umbrella.com"),
    "AdGuard": ("dns.adguard-dns.com", "family.adguard-dns.com", "unfiltered.adguard-dns.com", "dns.adguard.com"),
    "NextDNS": ("dns.nextdns.io", "doh3.dns.nextdns.io"),
    "CleanBrowsing": ("doh.cleanbrowsing.org", "security-filter-dns.cleanbrowsing.org", "family-filter-dns.cleanbrowsing.org"),
    "Control D": ("freedns.controld.com", "dns.controld.com"),
    "Mullvad": ("dns.mullvad.net", "doh.mullvad.net", "base.dns.mullvad.net"),
    "Ali DNS": ("dns.alidns.com",),
    "DNSPod": ("doh.pub", "dot.pub", "dns.pub"),
    "DNS.SB": ("doh.dns.sb", "dot.sb", "doh.sb"),
    "Wikimedia": ("wikimedia-dns.org",),
    "dns0.eu": ("dns0.eu", "zero.dns0.eu"),
    "LibreDNS": ("doh.libredns.gr",),
    "Digitale Gesellschaft": ("dns.digitale-gesellschaft.ch",),
    "Comcast": ("doh.xfinity.com",),
}  # fmt: skip
_RESOLVER_ADDRESSES = {
    "Cloudflare": ("1.1.1.1", "1.0.0.1", "1.1.1.2", "1.0.0.2", "1.1.1.3", "1.0.0.3",
                   "2606:4700:4700::1111", "2606:4700:4700::1001"),
    "Google": ("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"),
    "Quad9": ("9.9.9.9", "149.112.112.112", "9.9.9.10", "9.9.9.11", "2620:fe::fe", "2620:fe::9"),
    "OpenDNS": ("208.67.222.222", "208.67.220.220", "2620:119:35::35", "2620:119:53::53"),
    "AdGuard": ("94.140.14.14", "94.140.15.15", "94.140.14.140", "94.140.14.141", "2a10:50c0::ad1:ff", "2a10:50c0::ad2:ff"),
    "NextDNS": ("45.90.28.0", "45.90.30.0"),
    "CleanBrowsing": ("185.228.168.9", "185.228.169.9"),
    "Control D": ("76.76.2.0", "76.76.10.0"),
    "Ali DNS": ("223.5.5.5", "223.6.6.6", "2400:3200::1"),
    "DNS.SB": ("185.222.222.222", "45.11.45.11"),
}  # fmt: skip
RESOLVERS = {name: owner for owner, names in _RESOLVER_NAMES.items() for name in names}
"""Names of public resolvers that answer over HTTPS or TLS: the large ones of the lists of curl (wiki) and AdGuard (Known DNS Providers)."""
RESOLVER_ADDRESSES: dict[IPv4Address | IPv6Address, str] = {
    ip_address(address): owner for owner, addresses in _RESOLVER_ADDRESSES.items() for address in addresses
}
"""Their addresses; the same sources."""

_BY_PATH = tuple(
    (re.compile(form), what, instead)
    for form, what, instead in (
        (r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?", "which bucket of Amazon S3", "BUCKET.s3.REGION.amazonaws.com"),
        (r"storage(\.mtls)?\.googleapis\.com", "which bucket of Google Cloud Storage", "BUCKET.storage.googleapis.com"),
        (r"firebasestorage\.googleapis\.com", "which bucket of Firebase", ""),
        (r"[a-z0-9]+\.r2\.cloudflarestorage\.com", "which bucket of Cloudflare R2", "BUCKET.ACCOUNT.r2.cloudflarestorage.com"),
        (r"(raw|gist|media)\.githubusercontent\.com|codeload\.github\.com", "whose repository", ""),
        (r"hooks\.slack\.com", "whose workspace of Slack", ""),
        (r"((canary|ptb)\.)?discord(app)?\.com", "whose channel of Discord", ""),
        (r"api\.telegram\.org", "whose bot of Telegram", ""),
        (r"(api\.)?pastebin\.com|transfer\.sh|webhook\.site", "whose page", ""),
    )
)  # fmt: skip
"""Names at which the path says whose it is: the services' own documentation (S3: "Virtual hosting of general purpose buckets")."""


def cdn_of(name: str) -> str:
    """The CDN that answers for the name; empty: none that is known."""
    return next((owner for zone, owner in CDNS.items() if name == zone or name.endswith(f".{zone}")), "")


def told_by_path(name: str) -> tuple[str, str] | None:
    """What the path says at this name, and the form of a name that says it itself (empty: there is none). None: nothing that is known."""
    return next(((what, instead) for form, what, instead in _BY_PATH if form.fullmatch(name)), None)

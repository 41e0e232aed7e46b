"""The table: every known technique, by the ids of the project's catalogue. A: round the interception; B: lies about the name; C: DNS; D: inward."""

from __future__ import annotations

from exitway.attack.attempts import answers, confined, dns, http, http2, inward, packets, requests, sockets, tls, wear
from exitway.attack.row import Row

_ONE_NETWORK = "no interface but `lo`, but for what rules call direct; every packet is led to the proxy or refused"
_AUTHORITY = "the proxy decides each request by the authority it will send, and dials that name itself"
_STRICT = "the proxy refuses the request as malformed, or finds no rule for the name as it stands"
_NO_PRIVILEGE = "no capability, none to be had, a filter of system calls"
_HIDDEN = "another network namespace; what is in /run, and what is bound when the program starts, is hidden"
_KERNEL = "inside the machine's kernel there is nothing to reach without the boundary either"
_HERE = "outside Exitway there is no proxy"
_HARMFUL = "it would change the machine itself"

AROUND = (
    Row("A1", "ignore the proxy variables of the environment", "no variable is used: the kernel leads every connection to the proxy", (packets.without_proxy_variables,), nothing=True),
    Row("A2", "connect to an address, any port", "no rule for the address: HTTP 404, else closed", (packets.by_address,), nothing=True),
    Row("A3", "IPv6 where rules are IPv4: literals, link-local with a zone", "one ruleset and one listener for both families", (packets.over_ipv6,), nothing=True),
    Row("A4", "IPv4 hidden in IPv6: mapped, compatible, NAT64, 6to4, Teredo", "they are addresses like others: no rule, no way", (packets.embedded_addresses,), nothing=True),
    Row("A5", "QUIC, UDP to port 443", "UDP is refused at once (ICMP), so clients fall back to TCP", (packets.quic,), nothing=True),
    Row("A6", "an ICMP tunnel", "no raw socket, no ping socket, and ICMP is refused", (packets.icmp,), nothing=True),
    Row("A7", "SCTP, DCCP, UDP-Lite, GRE, IPIP, ESP", "what is not TCP is refused; no raw socket", (packets.other_protocols,), nothing=True),
    Row("A8", "MPTCP", "the system call filter refuses it, programs fall back to TCP", (packets.multipath,), nothing=True),
    Row("A9", "TCP Fast Open, `MSG_FASTOPEN`: data without `connect`", "packets are led to the proxy, not calls", (packets.fast_open,), nothing=True),
    Row("A10", "io_uring", "the system call filter refuses it", (sockets.io_uring,), nothing=True),
    Row("A11", "raw sockets, AF_PACKET, AF_VSOCK, AF_XDP and other families", _NO_PRIVILEGE, (sockets.socket_families,), nothing=True),
    Row("A12", "a Unix socket of a daemon that has a network: Docker, D-Bus, ssh-agent, abstract ones", _HIDDEN, (sockets.unix_sockets,), nothing=True),
    Row("A13", "an inherited socket", "every file but stdin, stdout and stderr is closed before the program begins", (sockets.inherited_sockets,), nothing=True),
    Row("A14", "`setns`, `nsenter`, /proc/PID/ns", "a PID namespace of its own, no capability", (confined.other_namespaces,), nothing=True),
    Row("A15", "`unshare -Urn` and an interface of its own", "a namespace made inside is joined to nothing; hidden mounts stay hidden", (confined.own_namespaces,), nothing=True, no_control=_KERNEL),
    Row("A16", "change rules, routes and interfaces from inside", _NO_PRIVILEGE, (confined.rules,), nothing=True, no_control=_HARMFUL),
    Row("A17", "become the proxy's user (1337), root, nobody", "no user is exempt", (confined.other_users,), nothing=True),
    Row("A18", "mark the packets (SO_MARK)", "none can be set, and none lets out what no rule calls direct", (confined.marks,), nothing=True),
    Row("A19", "ports that capture leaves out", "none is left out", (packets.excluded_ports,), nothing=True),
    Row("A20", "send before the rules are there, or while the proxy is dead", "the ruleset is there before the program; without a proxy nothing answers", (packets.at_once,), nothing=True),
    Row("A21", "a connection that lives on when its rule goes", "the server cuts it", untried="it takes a rule that goes meanwhile; the project's own tests do that"),
    Row("A22", "a further interface, a VPN, a tunnel", _NO_PRIVILEGE, (confined.further_interfaces,), nothing=True),
    Row("A23", "a helper or sibling that has a network, on loopback", "the workload's loopback is its own", (inward.services_of_the_machine,), nothing=True),
    Row("A24", "split the ClientHello: segments and records of one byte, 17 kB", "the proxy reads a stream, not packets; no name, no way", (tls.split_hello,)),
    Row("A25", "port 0, broadcast, multicast, 0.0.0.0", _ONE_NETWORK, (packets.special_addresses,), nothing=True),
)  # fmt: skip

NAMES = (
    Row("B1", "an allowed SNI to another address", "the name must be the one behind the address that was dialled, and is dialled anew", (tls.server_name_at_other_address,), nothing=True),
    Row("B2", "an allowed Host to another address", "the proxy dials the name, never the address that was dialled", (http.host_at_other_address,)),
    Row("B3", "CONNECT to an allowed name, another SNI inside", "CONNECT is no route: 404", (http.connect,)),
    Row("B4", "domain fronting: an allowed SNI, another Host inside TLS", documented="Domain fronting"),
    Row("B5", "another `:authority` on a further HTTP/2 stream", "each stream is decided by itself", (http2.other_streams,)),
    Row("B6", "h2c with prior knowledge, Upgrade: h2c", "each stream is decided by itself; the upgrade is not made", (http2.upgrade_to_h2c,)),
    Row("B7", "an absolute URI that differs from the Host", "the URI counts, for the decision and for what is sent", (http.absolute_form,)),
    Row("B8", "two Hosts, folded, with spaces, none", _STRICT, (http.malformed_host,)),
    Row("B9", "userinfo: `allowed@refused`", _STRICT, (http.userinfo,)),
    Row("B10", "another port in the Host", "the port that is dialled counts, and nothing else", (http.port_in_host,)),
    Row("B11", "upper case", "names are compared without case, also those that are denied", (http.letters, tls.letters)),
    Row("B12", "trailing and leading dots", "one trailing dot is taken off, other forms match nothing", (http.trailing_dots, tls.trailing_dots)),
    Row("B13", "brackets and zones", _STRICT, (http.brackets,)),
    Row("B14", "decimal, octal, hexadecimal, short IPv4", "only a rule for such a name would match it, and none can be made", (http.numeric_addresses,)),
    Row("B15", "NUL, CR, LF, space in a name", _STRICT, (http.odd_bytes, tls.odd_bytes)),
    Row("B16", "homographs, full-width letters and dots, U-labels", "names are compared as bytes, in A-labels", (http.international, tls.international)),
    Row("B17", "names that only a careless suffix comparison allows", "wildcards match at a dot; DENY wins", (http.wide_wildcards, tls.wide_wildcards)),
    Row("B18", "a dangling CNAME below an allowed wildcard", documented="Wildcards"),
    Row("B19", "an allowed site that takes uploads from everybody", documented="Sites that take uploads"),
    Row("B20", "no SNI, an address as SNI, ECH", "no name, no way; of an encrypted hello the outer name counts", (tls.nameless,)),
    Row("B21", "TLS on the port of HTTP, HTTP on the port of TLS, STARTTLS", "what is spoken must be what the rule allows there", (tls.other_protocol,)),
    Row("B22", "SSH through CONNECT, or on the port of TLS", "CONNECT is no route; what is neither TLS nor HTTP needs a rule for TCP", (http.ssh_in_tunnel,)),
    Row("B23", "a server that proves another name", "where the proxy speaks TLS it verifies the certificate", (requests.wrong_certificate,), needs="untrusted", untried="it takes a site with a bad certificate; the project's own tests have one", no_control="the attempt is the proxy's own TLS"),
    Row("B24", "a redirection inward", "the proxy follows none, and who follows is decided anew", (requests.redirections,)),
    Row("B25", "a tunnel that begins as a request: WebSocket, CONNECT-UDP, extended CONNECT, gRPC", "a name that is refused is refused for every method and upgrade", (http2.tunnels,)),
    Row("B26", "request smuggling: CL.TE, TE.CL, bare line feeds, chunk extensions", "one parser reads, decides and writes anew; ambiguous framing is refused", (requests.smuggled_requests,)),
    Row("B27", "paths that are read in two ways", "where a rule speaks of paths, only plain ones leave", (requests.paths,)),
    Row("B28", "unknown verbs, headers that override the method", "methods are compared exactly; with such a header a request is denied", (requests.methods,)),
    Row("B29", "orders to the proxy in headers: x-envoy-*, x-forwarded-host", "none of them has a part in where a request goes", (requests.orders_to_proxies,)),
)  # fmt: skip

DNS = (
    Row("C1", "a DNS tunnel to a server of one's own, UDP and TCP 53", "UDP is refused, TCP needs a rule", (dns.own_server,), nothing=True),
    Row("C2", "a DNS tunnel through the resolver", "the resolver answers itself and asks nobody", (dns.through_resolver,), nothing=True),
    Row("C3", "a DNS tunnel below an allowed wildcard", documented="Wildcards"),
    Row("C4", "DoH, DoT, DoQ", "they are connections like others: no rule, no way", (dns.encrypted,), nothing=True),
    Row("C5", "HTTPS, SVCB, SRV, TXT, NULL, MX, ANY", "answered with no data, by nobody but the resolver inside", (dns.query_types,), nothing=True),
    Row("C6", "rebinding: an allowed name that leads inward", "the address is checked before it is dialled", (answers.rebinding,)),
    Row("C7", "poisoned and forged answers", "the program's resolver is not the proxy's", (answers.poisoned_answers,), no_control=_HERE),
    Row("C8", "a CNAME that leads inward", "the address at the end of the chain is checked", (answers.aliases,), needs="aliased", untried="it takes an alias that leads inward; the project's own tests have one"),
    Row("C9", "TTL games: addresses of names used long after, or never given out", "such an address is a name's or nobody's, and the name is decided at each connection", (answers.old_addresses,)),
    Row("C10", "search domains", "there is none, and the resolver asks nobody", (dns.search_domains,), nothing=True),
    Row("C11", "mDNS, LLMNR, NetBIOS", "UDP is refused", (dns.neighbours,), nothing=True),
    Row("C12", "another site at an allowed one's address", "the name decides, not the address", (answers.shared_address,)),
    Row("C13", "a hosts file, nsswitch or resolver of one's own", "the proxy resolves, with files that the program cannot write", (answers.own_hosts_file,), no_control=_HARMFUL),
)  # fmt: skip

INWARD = (
    Row("D1", "metadata addresses of the clouds", "no rule, no way; no name may lead there", (inward.metadata,), nothing=True),
    Row("D2", "services of the machine's loopback, through the proxy", "the workload's loopback is its own; no name may lead to the machine's", (inward.services_of_the_machine,)),
    Row("D3", "the proxy's admin interface", "a Unix socket, mode 0600, hidden from programs; never TCP", (inward.admin_ports,)),
    Row("D4", "reading or forging the proxy's configuration (xDS)", "a Unix socket, hidden from programs", (inward.sockets,)),
    Row("D5", "loops through the proxy's own ports", "the proxy is not in the namespace: its ports there lead to no name", (inward.loops,), no_control=_HERE),
    Row("D6", "stealing a CA's key", "there is none: TLS is not decrypted; Exitway's files are hidden", (inward.keys,)),
    Row("D7", "a proxy's credential in the environment", "there is none: the namespace is the identity", (inward.credentials,), no_control="outside Exitway nobody sets one, either"),
    Row("D8", "changing rules: API, store, files", "the socket and the files are hidden; the API refuses who is in another namespace", (inward.rules,)),
    Row("D9", "wearing it out: 20,000 names, 1,000 connections", "what is full refuses; a denial needs no memory", (wear.exhaustion,), no_control="it would flood the outside"),
    Row("D10", "crashing the proxy with malformed input", "it stays up, and while one is down nothing gets out", (wear.malformed,)),
    Row("D11", "forging or flooding the record", "JSON escapes what is recorded; the rate is limited, with counts", (wear.forged_records,)),
    Row("D12", "terminal sequences in the text of a denial", "they are refused or not repeated", (wear.terminal_escapes,)),
    Row("D13", "audit mode left on", "every run says so, and so does the status", untried="it is a setting, not an attack; `exitway status` shows it"),
    Row("D14", "the moment in which rules change", "a change is one atomic step in the proxy", untried="it takes rules that change meanwhile; the project's own tests do that"),
    Row("D15", "timing, sizes and order of allowed traffic", documented="Timing and size"),
)  # fmt: skip

ALLOWED = Row("allowed", "what is allowed", "nothing: it must arrive", (packets.what_is_allowed,))
"""No attack. If this did not arrive, the others would prove nothing."""

SECTIONS = {"Round the interception": AROUND, "Lies about the name": NAMES, "DNS": DNS, "Inward": INWARD}

ROWS = {row.id: row for rows in SECTIONS.values() for row in rows}

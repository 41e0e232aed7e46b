"""Intents written short, and strategies for generated ones."""

from ipaddress import ip_network

from hypothesis import strategies as st

from exitway.names.call import Call, Sort
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.port import Port, Protocol
from exitway.names.workload import Selector
from exitway.resources.intent import Action, Intent, Target


def port(text):
    """``80/HTTP``, ``443/TLS``; ``443/https`` is HTTP inside and TLS outside."""
    number, _, protocol = text.partition("/")
    return (
        Port(int(number), Protocol.HTTP, originate_tls=True)
        if protocol == "https"
        else Port(int(number), Protocol(protocol))
    )


def intent(
    name,
    destinations,
    ports,
    *,
    action=Action.ALLOW,
    namespace="shop",
    labels=(),
    expires=None,
    methods="",
    paths="",
    direct=False,
):
    """Destinations with a slash are networks."""
    words = destinations.split()
    target = Target(
        hosts=tuple(Host.parse(word) for word in words if "/" not in word),
        cidrs=tuple(ip_network(word) for word in words if "/" in word),
        ports=tuple(map(port, ports.split())),
        methods=tuple(methods.split()),
        paths=tuple(paths.split()),
        direct=direct,
    )
    return Intent(Key("egress-rule", namespace, name), (target,), Selector(tuple(labels)), Action(action), expires)


LABELS = ("a", "b", "cnn", "x-b")
NAMES = st.lists(st.sampled_from(LABELS), min_size=1, max_size=3).map(".".join)
PATTERNS = st.one_of(NAMES, NAMES.map("*.{}".format), NAMES.map("*-{}".format), NAMES.map("*{}".format), st.just("*"))
DOTTED = st.one_of(NAMES, NAMES.map("*.{}".format))
NETWORKS = st.sampled_from(
    ["198.18.0.0/15", "198.18.5.0/24", "198.18.5.7/32", "2001:db8::/32", "2001:db8::5/128", "0.0.0.0/0"]
)
ADDRESSES = st.sampled_from(
    ["198.18.5.7", "198.18.5.8", "198.19.0.1", "198.51.100.1", "2001:db8::5", "2001:db8::6", "240.240.3.4"]
)
NUMBERS = st.sampled_from([80, 443, 8080])
HTTP = st.builds("{}/{}".format, NUMBERS, st.sampled_from(["HTTP", "GRPC", "https"]))
METHODS = st.sampled_from(["GET", "POST", "DELETE"])
SEGMENTS = st.sampled_from(
    ["", "a", "ab", "A", "a@b", "a%40b", "a%20b", ".", "..", "...", "%2e%2E", "%2F", "%25", "%41", "%C3%A9", "%c3%a9", "%C0%AE", "a;b", "a\\b", "[", "a?b=/../c"]
)  # fmt: skip
TARGETS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments))
PATH_PATTERNS = st.builds(
    "/{}{}".format,
    st.lists(st.sampled_from(["a", "ab", "A", "a@b", "a%20b", "%C3%A9"]), max_size=2).map("/".join),
    st.sampled_from(["", "*", "/*"]),
).map(lambda pattern: pattern.replace("//", "/"))
SOME_REQUESTS = st.fixed_dictionaries(
    {
        "methods": st.lists(METHODS, max_size=2, unique=True).map(sorted),
        "paths": st.lists(PATH_PATTERNS, max_size=2, unique=True).map(sorted),
    }
)


@st.composite
def intents(draw):
    made = []
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["http", "tls", "tcp"]))
        destinations = {"http": PATTERNS, "tls": DOTTED, "tcp": NETWORKS | DOTTED}[kind]
        ports = HTTP if kind == "http" else NUMBERS.map(f"{{}}/{kind.upper()}".format)
        made.append(
            intent(
                f"r{number}",
                " ".join(draw(st.lists(destinations, min_size=1, max_size=3))),
                " ".join(draw(st.lists(ports, min_size=1, max_size=2))),
                action=draw(st.sampled_from([Action.ALLOW, Action.ALLOW, Action.ALLOW, Action.DENY])),
                **{name: " ".join(words) for name, words in (draw(SOME_REQUESTS) if kind == "http" else {}).items()},
            )
        )
    return made


CALLS = st.one_of(
    st.builds(
        Call,
        st.just(Sort.HTTP),
        NUMBERS,
        name=NAMES,
        address=ADDRESSES,
        method=st.one_of(METHODS, st.sampled_from(["HEAD", "get"])),
        path=TARGETS,
        overridden=st.sampled_from([False, False, True]),
    ),
    st.builds(Call, st.just(Sort.TLS), NUMBERS, name=NAMES, address=ADDRESSES),
    st.builds(Call, st.just(Sort.TCP), NUMBERS, address=ADDRESSES),
)

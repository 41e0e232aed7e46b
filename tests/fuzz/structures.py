"""Objects that are nearly rules: right ones, in which any part may be anything."""

from hypothesis import strategies as st

from exitway.resources.kind_names import KIND_NAMES

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "a.example",
        "*.a.example",
        "*",
        "*a.example",
        "*.com",
        "10.0.0.1",
        "10.0.0.0/8",
        "::1/128",
        "2001:db8::/32",
        "0/0",
        "",
        ".",
        "a..b",
        "localhost",
        "A.EXAMPLE.",
        "\u00e9.example",
        "a\0b",
        "a b",
        "x" * 64,
        "y." * 130 + "z",
        "[::1]",
        "1.2.3.4:80",
        "https://a.example/",
        "-a",
        "a_b.example",
        "127.1",
        "a.0x",
    ]
)


def often(usual):
    """Mostly right."""
    return st.one_of(usual, usual, usual, ANYTHING)


PORT = st.fixed_dictionaries(
    {
        "number": often(st.sampled_from([0, 1, 80, 443, 65535, 65536, -1])),
        "protocol": often(st.sampled_from(["HTTP", "HTTP2", "GRPC", "TLS", "TCP", "tls", "UDP"])),
    },
    optional={"name": ANYTHING},
)
TO = st.fixed_dictionaries(
    {"ports": often(st.lists(PORT, max_size=3))},
    optional={
        "hosts": often(st.lists(often(NAMES), max_size=3)),
        "cidrs": often(st.lists(often(NAMES), max_size=3)),
        "originateTLS": often(st.booleans()),
        "caFile": often(st.sampled_from(["/etc/ssl/certs/ca-certificates.crt", "ca.pem", "/nowhere", "/dev/zero"])),
        "direct": often(st.booleans()),
        "methods": often(st.lists(st.sampled_from(["GET", "POST", "get", ""]), max_size=2)),
        "paths": often(st.lists(st.sampled_from(["/", "/a/*", "a", "/*b", ""]), max_size=2)),
    },
)
METADATA = st.fixed_dictionaries(
    {"name": often(st.sampled_from(["a", "b-c", "A", "-", "", "x" * 254]))},
    optional={
        "namespace": often(st.sampled_from(["default", "shop", "exitway-system", "A B"])),
        "labels": often(
            st.dictionaries(st.sampled_from(["a", "b/c", "/", "-"]), often(st.text(max_size=5)), max_size=2)
        ),
        "annotations": ANYTHING,
        "generation": ANYTHING,
        "resourceVersion": ANYTHING,
    },
)
SPECS = {
    "exitway.dev/v1": st.fixed_dictionaries(
        {"to": often(st.lists(often(TO), max_size=3))},
        optional={
            "action": often(st.sampled_from(["ALLOW", "DENY", "allow"])),
            "workloadSelector": often(
                st.fixed_dictionaries(
                    {"matchLabels": often(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2))}
                )
            ),
            "expires": often(
                st.sampled_from(["2027-01-31T00:00:00Z", "2027-02-31T00:00:00Z", "9999-12-31T23:59:60+23:59", "2027"])
            ),
            "further": ANYTHING,
        },
    ),
    "config.istio.io/v1alpha2": st.fixed_dictionaries(
        {
            "destination": often(
                st.fixed_dictionaries(
                    {"service": often(NAMES)}, optional={"name": ANYTHING, "labels": ANYTHING, "domain": ANYTHING}
                )
            ),
            "ports": often(
                st.lists(
                    often(
                        st.fixed_dictionaries(
                            {
                                "port": often(st.sampled_from([80, 443, 0])),
                                "protocol": often(st.sampled_from(["http", "https", "tcp", "mongo", "x"])),
                            }
                        )
                    ),
                    max_size=3,
                )
            ),
        },
        optional={"useEgressProxy": ANYTHING},
    ),
}
OBJECTS = st.one_of(
    *[
        st.fixed_dictionaries(
            {
                "apiVersion": often(st.just(version)),
                "kind": often(st.just("EgressRule")),
                "metadata": often(METADATA),
                "spec": often(spec),
            },
            optional={"status": ANYTHING, "x": ANYTHING},
        )
        for version, spec in SPECS.items()
    ]
)
assert {name.api_version for name in KIND_NAMES} == set(SPECS), "a kind that is not fuzzed"
WHO = {
    "namespace": often(st.sampled_from(["default", "shop", "A B", ""])),
    "labels": often(st.dictionaries(st.sampled_from(["a", "b/c", "/", ""]), often(st.text(max_size=5)), max_size=2)),
    "at": often(
        st.sampled_from(["2027-01-31T00:00:00Z", "2027-02-31T00:00:00Z", "9999-12-31T23:59:59-23:59", "2027", ""])
    ),
    "because": often(st.text(max_size=5)),
}
CALL = st.fixed_dictionaries(
    {"call": often(st.builds("{}{}{}".format, st.sampled_from(["", "http://", "TCP ", "GET https://", "x://"]), NAMES, st.sampled_from(["", ":80", ":0", "/a"])))},
    optional={
        **WHO,
        "method": often(st.sampled_from(["GET", "get", "", " "])),
        "protocol": often(st.sampled_from(["HTTP", "tcp", "UDP", "", "x"])),
        "dialled": often(NAMES),
        "reason": often(st.sampled_from(["rule", "no-rule", "port", ""])),
        "rule": often(NAMES),
    },
)  # fmt: skip
CALLS = often(st.lists(often(CALL | NAMES.map("https://{}".format)), max_size=3))
GROUP = {**WHO, "allow": CALLS, "deny": CALLS}
SUITES = st.fixed_dictionaries(
    {},
    optional={
        **GROUP,
        "rules": often(NAMES | st.lists(often(NAMES), max_size=2)),
        "tests": often(
            st.lists(often(st.fixed_dictionaries({}, optional={**GROUP, "name": often(NAMES)})), max_size=2)
        ),
        "further": ANYTHING,
    },
)
"""Files of tests that are nearly right."""

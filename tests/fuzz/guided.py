"""Coverage-guided fuzzing (atheris, which is libFuzzer) of one reader: `python -m tests.fuzz.guided READER -max_total_time=60`."""

import struct
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["exitway", "tests.fuzz.readers", "dns"]):
    from tests.fuzz import readers

EXAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "examples").rglob("*.y*ml"))]
SEEDS = {
    "documents": [
        *EXAMPLES,
        b'{"apiVersion": "v1", "kind": "List", "items": []}',
        b"a: &b [*b]",
        b"? !!str x\n: |\n  y\n---\n<<: {a: 1}\n",
    ],
    "dns_message": [struct.pack("!6H", 1, 256, 1, 0, 0, 1) + b"\1a\7example\0\0\1\0\1" + b"\0\0)\x04\xd0\0\0\0\0\0\0"],
    "log_strings": [b"a.example:80\xffdeny; reason=no-rule\xffNR\xffroute_not_found"],
    "packets": [
        struct.pack("IHHII", 56, 1024, 0, 0, 0)
        + struct.pack(">BBH", 0, 0, 1)
        + struct.pack("HH", 32, 9)
        + b"\x45"
        + bytes(27)
    ],
    "question": [b"a.example.s-240-240-0-5-443.4f2a91c0.exitway", b"h-80.1.exitway", b"t-2001-2--5-1.1.exitway"],
}


def main():
    name, *options = sys.argv[1:]
    corpus = Path(options.pop())  # where libFuzzer keeps what is worth keeping
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *options, str(corpus)], readers.READERS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

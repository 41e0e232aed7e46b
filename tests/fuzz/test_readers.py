"""The pure readers, with what hypothesis thinks of: nearly right things, and rubbish. (What atheris thinks of: `make fuzz`.)"""

import json

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import readers
from tests.fuzz.budget import while_there_is_time
from tests.fuzz.structures import ANYTHING, OBJECTS, SUITES


@while_there_is_time
@given(OBJECTS | st.dictionaries(st.text(max_size=8), ANYTHING, max_size=3))
def test_structures(wire):
    readers.resource(wire)


@while_there_is_time
@given(
    st.lists(OBJECTS | SUITES | ANYTHING, min_size=1, max_size=3), st.sampled_from(["json", "yaml", "flow"]), st.data()
)
def test_files(wires, form, data):
    text = (
        json.dumps(wires[0])
        if form == "json"
        else yaml.safe_dump_all(wires, default_flow_style=form == "flow", allow_unicode=True)
    )
    written = text.encode("utf-8", "surrogatepass")
    at = data.draw(st.integers(0, len(written)))
    cut = data.draw(st.sampled_from([0, 0, 1, 5]))
    readers.documents(written[:at] + data.draw(st.binary(max_size=4)) + written[at + cut :])


LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=8).filter(
    lambda labels: sum(len(label) + 1 for label in labels) < 255
)


@st.composite
def messages(draw):
    message = dns.message.Message(draw(st.integers(0, 65535)))
    message.flags = draw(st.integers(0, 65535)) & ~0x8000 | draw(st.sampled_from([0, 0, 0, 0x8000]))
    for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2]))):
        name = dns.name.Name([*draw(LABELS), b""])
        kind = dns.rdatatype.RdataType.make(draw(st.sampled_from([1, 28, 12, 65, 255, 16]) | st.integers(0, 65535)))
        message.find_rrset(
            message.question,
            name,
            dns.rdataclass.RdataClass.make(draw(st.sampled_from([1, 1, 3, 255]))),
            kind,
            create=True,
            force_unique=True,
        )
    if draw(st.booleans()):
        options: list[dns.edns.Option] = [
            dns.edns.GenericOption(draw(st.integers(0, 65535)), draw(st.binary(max_size=20)))
        ]
        message.use_edns(
            draw(st.sampled_from([0, 0, 1, 255])),
            draw(st.integers(0, 65535)),
            draw(st.integers(0, 65535)),
            options=options,
        )
    return message.to_wire()


@while_there_is_time
@given(messages() | st.binary(max_size=80), st.binary(max_size=3), st.integers(0, 80))
def test_dns_messages(message, rubbish, at):
    readers.dns_message(message)
    readers.dns_message(message[:at] + rubbish + message[at + len(rubbish) :])


@pytest.mark.parametrize("reader", ["log_strings", "packets", "question"])
def test_other_readers(reader):
    @while_there_is_time
    @given(st.binary(max_size=120))
    def reads(data):
        readers.READERS[reader](data)

    reads()

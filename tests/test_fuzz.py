"""Whatever comes from a peer, or stands in a file: a value, or the error that is documented.

Bounded runs with hypothesis. Where a reader is deterministic its examples are drawn near what is
valid, so that they get past the first check.
"""

from __future__ import annotations

import base64
import contextlib
import json
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.consortium import CERTIFICATE, DIRECTORY, NOW, manifest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import frames
from engine.channel import PlainChannel, TlsChannel
from engine.credentials import Credentials, write_authority
from engine.errors import EngineError, LocalProtocolError, PeerLost, RemoteProtocolError, reported
from engine.handshake import Session
from engine.options import read_addresses, read_command_line, read_config, split_address
from engine.program import setup
from engine.shamir import Geometry
from parties import canonical
from parties.config import CONFIG_FILE, NodeConfig
from parties.envelope import open_envelope
from parties.errors import LocalError
from parties.errors import RemoteProtocolError as RemoteMessageError
from parties.manifest import Manifest
from parties.messages import KINDS
from parties.worker import JOB_FILE, _read_job

fuzz = settings(max_examples=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner,
                                                                max_size=4), max_leaves=20)
ALMOST_JSON = st.binary(max_size=300) | JSON.map(lambda v: json.dumps(v).encode()) | \
    st.integers(1, 4000).map(lambda n: b"[" * n) | st.just(b'{"party": 1' + b"0" * 3900)


def spoiled(document):
    """Copies of a JSON document with one thing changed, removed or added somewhere inside."""
    def places(value, path=()):
        yield path
        items = value.items() if isinstance(value, dict) else \
            enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            yield from places(inner, (*path, key))

    @st.composite
    def change(draw):
        copy = json.loads(json.dumps(document))
        path = draw(st.sampled_from(list(places(copy))))
        new = draw(JSON)
        if not path:
            return new
        holder = copy
        for key in path[:-1]:
            holder = holder[key]
        if isinstance(holder, dict) and draw(st.booleans()):
            del holder[path[-1]]
            if draw(st.booleans()):
                holder[draw(st.text(max_size=10))] = new
        else:
            holder[path[-1]] = new
        return copy
    return change()


# --- frames and the handshake ---

HEADERS = st.builds(
    lambda *fields: frames.HEADER.pack(*fields), st.sampled_from([b"SEPC", b"SEPD"]),
    st.sampled_from([2, 1]), st.integers(0, 7), st.sampled_from([0, 0, 1]),
    st.integers(0, 2**32 - 1), st.integers(0, 2000) | st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1), st.integers(-2**63, 2**63 - 1), st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1), st.sampled_from([0, 0, 1]))
STREAMS = st.lists(st.binary(max_size=400) | HEADERS, max_size=8).map(b"".join)


def feed(channel, stream, cuts):
    """Every frame that a channel makes of the stream; RemoteProtocolError as it comes."""
    found, sizes = [], list(cuts)
    while stream:
        buffer = channel.get_buffer()
        size = min(len(buffer), len(stream), sizes[0])
        sizes.append(sizes.pop(0))
        buffer[:size] = stream[:size]
        stream = stream[size:]
        found += channel.received(size)
    return found


@fuzz
@given(STREAMS, st.lists(st.integers(1, 500), min_size=1, max_size=5),
       st.sampled_from([None, (frames.HELLO,)]))
def test_any_bytes_are_frames_or_refused_within_bounds(stream, cuts, kinds):
    channel = PlainChannel()
    channel.reader.kinds = kinds
    tracemalloc.start()
    try:
        for frame, payload in feed(channel, stream, cuts):
            assert payload.size == frame.length <= frames.MAX_PAYLOAD
    except RemoteProtocolError as error:
        assert error.code in ("bad-frame", "frame-too-long", "bad-hello") and error.cause
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # One unfinished frame at most, and before the peer is known a small one.
    assert peak < 200_000 + (frames.MAX_PAYLOAD if kinds is None else 0)


@fuzz
@given(st.binary(max_size=2000) | st.binary(max_size=300).map(
    lambda b: b"\x16\x03\x01\x01\x00" + b), st.lists(st.integers(1, 500), min_size=1, max_size=5))
def test_any_bytes_before_tls_stands_are_refused(stream, cuts):
    channel = TlsChannel(UNPROVEN.context, True)
    try:
        assert feed(channel, stream, cuts) == []
    except EngineError as error:
        assert error.code in ("tls-failed", "certificate-refused", "wrong-certificate")
    channel.pending()


UNPROVEN = Credentials.unproven()


@fuzz
@given(st.binary(max_size=200), st.integers(0, 135), st.binary(max_size=40))
def test_any_hello_is_accepted_or_refused(data, place, patch):
    one, other = (Session(i, Geometry(3, 1), b"s" * 32, b"p" * 32) for i in range(2))
    good = bytearray(other.hello())
    good[place:place + len(patch)] = patch
    for hello in (data, bytes(good), bytes(good[:136])):
        try:
            peer, key, _ = one.greet(hello, 1, set())
        except RemoteProtocolError as error:
            assert error.cause
            continue
        assert peer == 1
        with pytest.raises(RemoteProtocolError):
            one.accept_keys(1, key, data)
        assert 1 not in one.pair_keys


@fuzz
@given(ALMOST_JSON | st.fixed_dictionaries({}, optional={
    k: JSON for k in ("code", "party", "step", "cause", "remedy")}).map(
        lambda v: json.dumps(v).encode()))
def test_any_reported_error_is_text_fit_to_print(payload):
    error = reported(3, payload)
    assert isinstance(error, PeerLost) and 0 <= error.party < 65536
    fields = error.as_dict()
    text = "".join(str(v) for v in fields.values())
    assert text.isprintable() and len(text) < 1500
    assert reported(1, error.report()).code == error.code


@fuzz
@given(st.text(max_size=2000), st.text(max_size=2000), st.none() | st.integers(0, 9))
def test_any_error_can_be_reported(cause, remedy, party):
    payload = EngineError("code", cause, party=party, remedy=remedy, step=cause).report()
    frames.parse(frames.header(frames.ABORT, 0, 0, 0, len(payload)))
    assert reported(1, payload).code == "code"


@fuzz
@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_certificate_proves_a_number_or_nothing(data, place):
    good = bytearray(GOOD_CERTIFICATE)
    good[place % len(good):place % len(good) + 1] = data[:1]
    for certificate in (data, bytes(good)):
        try:
            assert AUTHORITY.party_of(certificate) in range(100_000)
        except RemoteProtocolError as error:
            assert error.code == "wrong-certificate"


def test_a_name_of_any_type_is_a_number_or_nothing():
    text = b"\x0cMPyC party 1"
    assert GOOD_CERTIFICATE.count(b"\x0c" + text) == 1, "UTF-8, twelve bytes"
    for kind in range(256):
        certificate = GOOD_CERTIFICATE.replace(b"\x0c" + text, bytes([kind]) + text)
        try:
            assert AUTHORITY.party_of(certificate) == 1
        except RemoteProtocolError as error:
            assert error.code == "wrong-certificate"


@pytest.fixture(autouse=True, scope="module")
def authority(tmp_path_factory):
    """A folder of certificates for the tests above."""
    global AUTHORITY, GOOD_CERTIFICATE
    folder = tmp_path_factory.mktemp("authority")
    write_authority(folder, 2)
    AUTHORITY = Credentials.authority(0, folder)
    pem = (folder / "party_1.crt").read_text()
    GOOD_CERTIFICATE = base64.b64decode("".join(pem.splitlines()[1:-1]))


# --- the command line and its files ---

WORDS = st.text(max_size=12) | st.sampled_from(
    ["", ":", "localhost", "127.0.0.1:70000", "[::1]:5", "a:b:c", ":11365", "host:²", "%(x)s"])


@fuzz
@given(WORDS)
def test_any_address_is_split(text):
    host, port = split_address(text)
    assert len(host) + len(port) <= len(text)


@fuzz
@given(st.lists(WORDS, max_size=4), st.none() | st.integers(-5, 70_000),
       st.none() | st.integers(-3, 300), st.none() | st.integers(-2, 5))
def test_any_list_of_parties_is_read_or_refused(parties, base, count, index):
    options = SimpleNamespace(parties=parties, config=None, base_port=base, M=count, index=index)
    try:
        addresses, _ = read_addresses(options)
    except LocalProtocolError as error:
        assert error.code in ("bad-port", "bad-parties", "bad-config") and error.remedy
    else:
        assert addresses and all(host and 0 < port < 65536 for host, port in addresses)


@fuzz
@given(st.binary(max_size=200) | st.lists(st.sampled_from(
    ["[A]", "[B", "[A]", "host", "host=h", "port = 7", "port=x", "=", ":", "%(host)s", " more",
     "\x00", "[DEFAULT]", "key=%", "host=%(port)s"]), max_size=10).map(
         lambda lines: "\n".join(lines).encode()))
def test_any_ini_file_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.ini"
    path.write_bytes(content)
    try:
        parties = read_config(path)
    except LocalProtocolError as error:
        assert error.code in ("bad-config", "no-config") and error.remedy
    else:
        assert all(isinstance(text, str) for party in parties for text in party)


@fuzz
@given(st.lists(st.sampled_from(
    ["-M3", "-M", "-I", "-I0", "9", "-P", "localhost:1", "-T", "1", "-B", "7", "--plain", "--ssl",
     "--idle-deadline", "--job-deadline=nan", "--job-deadline", "-5", "--verified", "--no-log",
     "x", "--own", "-C", "none.ini", "--", "-M0", "-M-2", "--job", "-P", "host.example"])
    | st.text(max_size=8), max_size=6))
def test_any_command_line_is_understood_or_refused(arguments):
    try:
        options, rest = read_command_line([a for a in arguments if "\x00" not in a])
        addresses, own = read_addresses(options)
    except LocalProtocolError as error:
        assert error.remedy
    except SystemExit as end:  # argparse: usage on standard error, or -V and -H
        assert end.code in (0, 2, None)
    else:
        assert all(isinstance(a, str) for a in rest) and len(addresses) > 0
        assert own is None or isinstance(own, int)


def test_a_refused_command_line_starts_nothing(monkeypatch):
    monkeypatch.setattr("sys.argv", ["program.py", "-M3", "-T5"])
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("a process was started"))
    with pytest.raises(ValueError, match="2t < m"):
        setup()


# --- what nodes read ---

VALID_MANIFEST = manifest().document()
VALID_CONFIG = {
    "name": "bank", "broker": {"host": "127.0.0.1", "port": 1883, "password": "x"},
    "directory": dict(DIRECTORY), "observers": [], "data": "table.csv", "id_column": "id",
    "label": "bad", "host": "127.0.0.1", "presence_grace": 2.0, "connect_deadline": 60.0}
VALID_JOB = {
    "manifest": VALID_MANIFEST, "party": "bank", "data": "d.csv", "id_column": "id",
    "label": None, "addresses": [["127.0.0.1", 1]], "peer_keys": ["ab" * 32],
    "certificates": [CERTIFICATE], "connect_deadline": 5.0}
VALID_BODIES = {
    "approval": {"job_key": "ab" * 32, "certificate": CERTIFICATE, "host": "h", "port": 1},
    "refusal": {"checks": [{"name": "program", "passed": False, "reason": "no"}]},
    "progress": {"step": "join", "state": "start"},
    "failure": {"error": {"code": "c", "party": None, "step": None, "cause": "", "remedy": ""}},
    "receipt": {"status": "finished", "outputs_sha256": "ab" * 32, "steps": {},
                "peak_rss_mb": 1.0},
    "cancel": {"reason": "r"}, "proposal": {"manifest": VALID_MANIFEST},
    "ping": {"nonce": "0" * 32, "port": 1, "certificate": CERTIFICATE},
    "pong": {"nonce": "0" * 32, "time": 1.5, "measurement": "ab" * 32, "port": None,
             "certificate": CERTIFICATE},
    "presence": {"state": "online", "session": "0" * 32}}


@fuzz
@given(spoiled(VALID_MANIFEST))
def test_any_manifest_is_read_or_refused(document):
    try:
        assert Manifest.read(document).names
    except RemoteMessageError as error:
        assert error.code == "bad_manifest" and error.remedy


@fuzz
@given(ALMOST_JSON | spoiled(VALID_CONFIG).map(lambda v: json.dumps(v).encode()))
def test_any_node_configuration_is_read_or_refused(tmp_path_factory, content):
    home = tmp_path_factory.getbasetemp()
    (home / CONFIG_FILE).write_bytes(content)
    try:
        assert NodeConfig.load(home).name
    except LocalError as error:
        assert error.code == "node_config" and error.remedy


@fuzz
@given(ALMOST_JSON | spoiled(VALID_JOB).map(lambda v: json.dumps(v).encode()))
def test_any_job_file_is_read_or_refused(tmp_path_factory, content):
    folder = Path(tmp_path_factory.getbasetemp())
    (folder / JOB_FILE).write_bytes(content)
    try:
        assert _read_job(folder)
    except (LocalError, RemoteMessageError) as error:
        assert error.remedy


@fuzz
@given(st.sampled_from(sorted(VALID_BODIES)).flatmap(
    lambda kind: st.tuples(st.just(kind), spoiled(VALID_BODIES[kind]))))
def test_any_body_is_read_or_refused(item):
    """Approvals with certificates, receipts and all the others."""
    kind, body = item
    try:
        data = canonical.canonical(body)
    except (ValueError, TypeError):
        return
    with contextlib.suppress(ValueError):  # pydantic's, which `read_body` turns into bad_message
        KINDS[kind].model_validate_json(data)


@fuzz
@given(ALMOST_JSON)
def test_any_bytes_on_the_bus_are_refused(data):
    with pytest.raises(RemoteMessageError):
        open_envelope(data, recipient="bank", directory=DIRECTORY, last_sequence={}, now=NOW)


@fuzz
@given(ALMOST_JSON)
def test_any_bytes_are_canonical_or_refused(data):
    with contextlib.suppress(ValueError):
        assert canonical.canonical(canonical.parse(data)) == data


def test_the_examples_are_valid():
    """So that what the readers refuse is the change and not the example."""
    Manifest.read(VALID_MANIFEST)
    NodeConfig.model_validate_json(json.dumps(VALID_CONFIG))
    assert set(VALID_BODIES) == set(KINDS)
    for kind, body in VALID_BODIES.items():
        KINDS[kind].model_validate_json(canonical.canonical(body))

"""Credentials: where they are asked for, folders of certificates, names and keys in them."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from tls_kit import meet, pinned, sessions

from engine.connect import connect
from engine.credentials import (
    Credentials,
    job_key,
    number_of,
    self_signed,
    write_authority,
)
from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.rendezvous import is_loopback

SESSION, PROGRAM = b"s" * 32, b"p" * 32
ROOT = Path(__file__).resolve().parents[1]


def test_without_credentials_only_on_request_and_only_on_loopback():
    here, there = ("127.0.0.1", 1), ("192.0.2.7", 1)

    def refused(addresses, **options):
        with pytest.raises(LocalProtocolError) as caught:
            asyncio.run(connect(pid=0, addresses=addresses, **options))
        assert caught.value.remedy
        return caught.value.code

    assert refused([here, here]) == "no-credentials"
    assert refused([here, there], plain=True) == "plain-not-loopback"
    assert refused([here, there], credentials=Credentials.unproven()) == "unproven-not-loopback"
    assert refused([here, here], credentials=pinned(2)[0], plain=True) == "plain-and-tls"


@pytest.mark.parametrize("host, expected", [
    ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
    ("0.0.0.0", False), ("10.0.0.1", False), ("localhost.example", False), ("", False)])
def test_loopback_is_told_by_the_address(host, expected):
    assert is_loopback(host) is expected


def test_an_authority_folder_is_what_mpyc_looks_for(tmp_path):
    done = subprocess.run([sys.executable, "-m", "engine.credentials", ".config", "-m", "3"],
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60,
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    folder = tmp_path / ".config"
    assert sorted(p.name for p in folder.iterdir()) == [
        "mpyc_ca.crt", *(f"party_{i}.{kind}" for i in range(3) for kind in ("crt", "key"))]
    for i in range(3):
        assert stat.S_IMODE((folder / f"party_{i}.key").stat().st_mode) == 0o600
        certificate = x509.load_pem_x509_certificate((folder / f"party_{i}.crt").read_bytes())
        assert certificate.subject.rfc4514_string() == f"CN=MPyC party {i}"
        Credentials.authority(i, folder)


def test_certificates_in_the_style_of_mpycs_script_are_accepted(tmp_path):
    """RSA, X.509 version 1, no extensions, as made with OpenSSL."""
    def openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    try:
        openssl("version")
    except OSError:
        pytest.skip("no openssl command here")
    for name, subject in (("ca", "MPyC Certification Authority"), ("party_0", "MPyC party 0"),
                          ("party_1", "MPyC party 1")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={subject}")
    openssl("x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-out", "mpyc_ca.crt")
    for i in range(2):
        openssl("x509", "-req", "-in", f"party_{i}.csr", "-CA", "mpyc_ca.crt", "-CAkey", "ca.key",
                "-set_serial", str(256 + i), "-out", f"party_{i}.crt")

    async def main():
        return await meet([Credentials.authority(i, tmp_path) for i in range(2)],
                          everyone=sessions(2, 0))

    assert [sorted(links) for links in asyncio.run(main())] == [[1], [0]]


@pytest.mark.parametrize("spoil", ["missing", "garbage", "swapped", "other key", "no authority"])
def test_a_folder_that_cannot_work_is_refused_before_connecting(spoil, tmp_path):
    write_authority(tmp_path, 2)
    crt, key, ca = (tmp_path / n for n in ("party_0.crt", "party_0.key", "mpyc_ca.crt"))
    if spoil == "missing":
        key.unlink()
    elif spoil == "garbage":
        crt.write_bytes(os.urandom(500))
    elif spoil == "swapped":
        for kind in ("crt", "key"):
            (tmp_path / f"party_0.{kind}").write_bytes((tmp_path / f"party_1.{kind}").read_bytes())
    elif spoil == "other key":
        key.write_bytes((tmp_path / "party_1.key").read_bytes())
    else:
        ca.write_text("no certificate")
    with pytest.raises(LocalProtocolError) as caught:
        Credentials.authority(0, tmp_path)
    assert caught.value.code == "bad-credentials" and caught.value.remedy


def test_pinned_certificates_must_be_different_and_readable():
    keys = [Ed25519PrivateKey.generate() for _ in range(2)]
    one, other = (self_signed(k) for k in keys)
    for certificates, key in (([one, one], keys[0]), ([one, b"no certificate"], keys[0]),
                              ([one, other], keys[1])):
        with pytest.raises(LocalProtocolError, match="bad-credentials"):
            Credentials.pinned(0, certificates, key)
    with pytest.raises(RemoteProtocolError, match="wrong-certificate"):
        pinned(2)[0].party_of(None)


@pytest.mark.parametrize("name, number", [
    ("MPyC party 0", 0), ("SEPC party 12", 12), ("MPyC party 01", None), ("MPyC party -1", None),
    ("MPyC party 1 ", None), ("party 1", None), ("MPyC party ١", None), ("MPyC party", None)])
def test_only_one_form_of_name_is_a_number(name, number):
    from engine.credentials import _certificate
    key = Ed25519PrivateKey.generate()
    made = _certificate(name, key, name, key, 1)
    assert number_of(x509.load_der_x509_certificate(made.public_bytes(Encoding.DER))) == number


def test_the_job_key_gives_one_tls_key_and_does_not_show_in_it():
    secret_key = os.urandom(32)
    assert job_key(secret_key).private_bytes_raw() == job_key(secret_key).private_bytes_raw()
    assert secret_key != job_key(secret_key).private_bytes_raw()


def test_no_private_key_stays_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pinned(3)
    Credentials.unproven()
    assert list(tmp_path.iterdir()) == []

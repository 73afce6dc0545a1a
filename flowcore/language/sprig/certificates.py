"""Sprig: private keys and X.509 certificates. They need the package ``cryptography`` of the extra ``crypto``; without it they say so.

Every certificate is for servers and clients, valid from now on for a number of days, with a random serial number, as in sprig.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType

from flowcore.errors import ExpressionError
from flowcore.language.expr.texts import go_text
from flowcore.language.sources import chance, now
from flowcore.language.sprig.encodings import decode_base64
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.secrets import optional_package
from flowcore.language.sprig.values import Certificate, Items, from_bytes

_MAX_DAYS = 100_000


def _library(name: str) -> ModuleType:
    return optional_package(f"cryptography.{name}", "genCA and its like")


def _asymmetric(name: str) -> ModuleType:
    return _library(f"hazmat.primitives.asymmetric.{name}")


# -- keys -------------------------------------------------------------------------------------------------------------------------

_MAKERS: dict[str, Callable[[], object]] = {
    "": lambda: _rsa_key(4096),
    "rsa": lambda: _rsa_key(4096),
    "dsa": lambda: _asymmetric("dsa").generate_private_key(2048),
    "ecdsa": lambda: _asymmetric("ec").generate_private_key(_asymmetric("ec").SECP256R1()),
    "ed25519": lambda: _asymmetric("ed25519").Ed25519PrivateKey.generate(),
}


def _rsa_key(size: int) -> object:
    return _asymmetric("rsa").generate_private_key(65_537, size)


@sprig("genPrivateKey")
def gen_private_key(kind: str) -> str:
    maker = _MAKERS.get(kind)
    return f"Unknown type {kind}" if maker is None else _key_text(maker())


def _key_text(key: object) -> str:
    """A key as PEM, in its own old form where it has one."""
    forms = _library("hazmat.primitives.serialization")
    is_modern = isinstance(key, _asymmetric("ed25519").Ed25519PrivateKey)
    form = forms.PrivateFormat.PKCS8 if is_modern else forms.PrivateFormat.TraditionalOpenSSL
    data: bytes = key.private_bytes(forms.Encoding.PEM, form, forms.NoEncryption())  # type: ignore[attr-defined]  # every private key has it
    return data.decode()


def _read_key(text: str, complaint: str) -> object:
    if "-----BEGIN" not in text:
        raise ExpressionError(f"{complaint}: no PEM data in input")
    try:
        key: object = _library("hazmat.primitives.serialization").load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError) as error:
        raise ExpressionError(f"{complaint}: {error}") from None
    return key


# -- certificates -----------------------------------------------------------------------------------------------------------------


@sprig("genCA")
def gen_ca(name: str, days: int) -> Certificate:
    return _authority(name, days, _rsa_key(2048))


@sprig("genCAWithKey")
def gen_ca_with_key(name: str, days: int, key: str) -> Certificate:
    return _authority(name, days, _read_key(key, "parsing private key"))


@sprig("genSelfSignedCert")
def gen_self_signed_cert(name: str, addresses: Items, names: Items, days: int) -> Certificate:
    return _signed(name, addresses, names, days, _rsa_key(2048))


@sprig("genSelfSignedCertWithKey")
def gen_self_signed_cert_with_key(name: str, addresses: Items, names: Items, days: int, key: str) -> Certificate:
    return _signed(name, addresses, names, days, _read_key(key, "parsing private key"))


@sprig("genSignedCert")
def gen_signed_cert(name: str, addresses: Items, names: Items, days: int, authority: Certificate) -> Certificate:
    return _signed(name, addresses, names, days, _rsa_key(2048), authority)


@sprig("genSignedCertWithKey")
def gen_signed_cert_with_key(name: str, addresses: Items, names: Items, days: int, authority: Certificate, key: str) -> Certificate:
    return _signed(name, addresses, names, days, _read_key(key, "parsing private key"), authority)


@sprig("buildCustomCert")
def build_custom_cert(certificate: str, key: str) -> Certificate:
    """A certificate and key that exist already, both in base64, once they were checked."""
    texts: list[str] = []
    for text, what in ((certificate, "certificate"), (key, "private key")):
        try:
            texts.append(from_bytes(decode_base64(text)))
        except ValueError:
            raise ExpressionError(f"unable to decode base64 {what}") from None
    _read_certificate(texts[0])
    _read_key(texts[1], "error parsing private key")
    return Certificate(Cert=texts[0], Key=texts[1])


def _read_certificate(text: str) -> object:
    if "-----BEGIN" not in text:
        raise ExpressionError("unable to decode certificate")
    try:
        found: object = _library("x509").load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise ExpressionError(f"error parsing certificate: decodedCert.Bytes: {error}") from None
    return found


def _authority(name: str, days: int, key: object) -> Certificate:
    x509 = _library("x509")
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = _started(subject, days, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return _finished(builder.issuer_name(subject), key, key, signs=True)


def _signed(name: str, addresses: Items, names: Items, days: int, key: object, authority: Certificate | None = None) -> Certificate:
    x509 = _library("x509")
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = _started(subject, days, key).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    alternatives = [x509.IPAddress(_address(text)) for text in addresses] + [x509.DNSName(_dns_name(text)) for text in names]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if authority is None:
        return _finished(builder.issuer_name(subject), key, key, signs=False)
    issuer = _read_certificate(str(authority.get("Cert", "")))
    signer = _read_key(str(authority.get("Key", "")), "error parsing private key")
    return _finished(builder.issuer_name(issuer.subject), key, signer, signs=False)  # type: ignore[attr-defined]  # a certificate has one


def _started(subject: object, days: int, key: object):  # type: ignore[no-untyped-def]  # the builder's type belongs to the optional package
    x509 = _library("x509")
    if abs(days) > _MAX_DAYS:
        raise ExpressionError(f"a certificate is valid for at most {_MAX_DAYS} days")
    begin = now()
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())  # type: ignore[attr-defined]  # every key has one
    builder = builder.serial_number(chance().getrandbits(127) + 1)
    builder = builder.not_valid_before(min(begin, begin + timedelta(days=days))).not_valid_after(begin + timedelta(days=days))
    purposes = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(purposes, critical=False)


def _finished(builder, key: object, signer: object, *, signs: bool) -> Certificate:  # type: ignore[no-untyped-def]  # as above
    x509 = _library("x509")
    others = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"), False
    )
    usage = x509.KeyUsage(digital_signature=True, key_encipherment=True, key_cert_sign=signs, **others)
    is_modern = isinstance(signer, _asymmetric("ed25519").Ed25519PrivateKey)
    digest = None if is_modern else _library("hazmat.primitives.hashes").SHA256()
    made = builder.add_extension(usage, critical=True).sign(signer, digest)
    text: bytes = made.public_bytes(_library("hazmat.primitives.serialization").Encoding.PEM)
    return Certificate(Cert=text.decode(), Key=_key_text(key))


def _address(value: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if not isinstance(value, str):
        raise ExpressionError(f"error parsing ip: {go_text(value)} is not a string")
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        raise ExpressionError(f"error parsing ip: {value}") from None


def _dns_name(value: object) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f"error processing alternate dns name: {go_text(value)} is not a string")
    return value

"""Artifacts in Google's and in Alibaba's store: their addresses and credentials, before a server that speaks the language of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowcore.artifacts.drivers import find_driver
from flowcore.artifacts.secrets import SecretReader
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ArtifactError, MissingArtifact
from flowcore.jsontypes import JsonObject

pytest.importorskip("obstore")
pytest.importorskip("cryptography")
pytest.importorskip("moto.server")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.backends.object_store_fronts import Alibaba, Google
from tests.serving import s3_server, serving

ACCOUNT = "robot@project.iam.gserviceaccount.com"
HOST = "oss-cn-test.aliyuncs.example"


@dataclass
class Store:
    """A store behind a front: the kind of its locations, what all of them say, the Secrets they name, and the requests that came."""

    kind: str
    place: JsonObject
    stranger: JsonObject
    secrets: SecretReader
    seen: list[str]

    def at(self, key: str, **more: str) -> JsonObject:
        return {**self.place, "key": key, **more}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server("of-gcs", "of-oss") as address:
        yield address


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def account_of(key: rsa.RSAPrivateKey, address: str) -> str:
    """A key file as Google gives them, with the address of an emulator."""
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    told = {"type": "service_account", "client_email": ACCOUNT, "private_key_id": "1", "private_key": private}
    return json.dumps({**told, "gcs_base_url": f"http://{address}", "disable_oauth": False})


def secrets_of(**values: str) -> SecretReader:
    secret: JsonObject = {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": dict(values)}
    return SecretReader(MemoryCatalog([secret]), "default")


@pytest.fixture(params=["gcs", "oss"])
def store(request: pytest.FixtureRequest, server: str, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    seen: list[str] = []
    if request.param == "gcs":
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        with serving(Google, behind=server, seen=seen, public=key.public_key(), account=ACCOUNT) as address:
            secrets = secrets_of(account=account_of(key, address), wrong=account_of(other, address))
            named: JsonObject = {"bucket": "of-gcs", "serviceAccountKeySecret": {"name": "keys", "key": "account"}}
            yield Store("gcs", named, {"serviceAccountKeySecret": {"name": "keys", "key": "wrong"}}, secrets, seen)
        return
    with serving(Alibaba, behind=server, seen=seen, user="me", host=HOST) as address:
        monkeypatch.setenv("http_proxy", f"http://{address}")
        login: JsonObject = {"accessKeySecret": {"name": "keys", "key": "id"}, "secretKeySecret": {"name": "keys", "key": "secret"}}
        place: JsonObject = {"endpoint": f"http://{HOST}", "bucket": "of-oss", **login}
        yield Store(
            "oss", place, {"accessKeySecret": {"name": "keys", "key": "wrong"}}, secrets_of(id="me", secret="pssst", wrong="you"), seen
        )


async def test_files_and_folders(store: Store, tmp_path: Path) -> None:
    driver = find_driver(store.kind)
    big = tmp_path / "big"
    big.write_bytes(b"0123456789abcdef" * 800_000)
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "leaf").write_text("leaf")
    (tree / "top one").write_text("ü")
    await driver.save(store.at("one/big"), big, store.secrets)
    assert any("uploadId=" in line for line in store.seen)  # it went in parts
    await driver.save(store.at("one/tree"), tree, store.secrets)
    assert await driver.keys(store.at("one/"), store.secrets) == ["one/big", "one/tree/deep/leaf", "one/tree/top one"]
    await driver.load(store.at("one/big"), tmp_path / "back", store.secrets)
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    await driver.load(store.at("one/tree"), tmp_path / "folder", store.secrets)
    assert (tmp_path / "folder" / "top one").read_text() == "ü"
    await driver.delete(store.at("one/tree"), store.secrets)
    await driver.delete(store.at("one/tree"), store.secrets)
    assert await driver.keys(store.at("one"), store.secrets) == ["one/big"]
    await driver.delete(store.at("one"), store.secrets)
    assert await driver.keys(store.at(""), store.secrets) == []


async def test_what_is_refused_is_told_without_secrets(store: Store, tmp_path: Path) -> None:
    driver = find_driver(store.kind)
    with pytest.raises(MissingArtifact, match="no artifact is stored under the key 'gone'"):
        await driver.load(store.at("gone"), tmp_path / "t", store.secrets)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match=r"nowhere: .*is there such a bucket\?"):
        await driver.save(store.at("k", bucket="nowhere"), tmp_path / "file", store.secrets)
    with pytest.raises(ArtifactError, match=rf"the artifact 'k' of .*of-{store.kind}: ") as raised:
        await driver.save({**store.at("k"), **store.stranger}, tmp_path / "file", store.secrets)
    assert "pssst" not in str(raised.value)
    assert "PRIVATE KEY" not in str(raised.value)

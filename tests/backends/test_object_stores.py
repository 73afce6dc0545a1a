"""Artifacts in object stores: against a real server of S3's language, and what the settings of others become."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

import flowcore
from flowcore.artifacts.drivers import find_driver
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.artifacts.secrets import SecretReader
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ArtifactError, InvalidWorkflow, MissingArtifact, UsageError
from flowcore.jsontypes import JsonObject
from flowcore.manifests import load_documents
from flowcore_backends.local import LocalExecutor
from tests.backends.passing_on import PASSES_ON
from tests.serving import s3_server

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

from flowcore_backends.artifacts.settings import azure_place, gcs_place, oss_place, s3_place

KEYS: JsonObject = {
    "kind": "Secret",
    "metadata": {"name": "keys"},
    "stringData": {"id": "me\n", "secret": "pssst", "account": json.dumps({"gcs_base_url": "http://localhost:1"}), "bad": "{"},
}
CATALOG = MemoryCatalog([KEYS])
SECRETS = SecretReader(CATALOG, "default")
LOGIN: JsonObject = {"accessKeySecret": {"name": "keys", "key": "id"}, "secretKeySecret": {"name": "keys", "key": "secret"}}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server with an empty bucket called ``bucket``."""
    with s3_server("bucket") as address:
        yield address


def location(server: str, key: str, **more: str) -> JsonObject:
    return {"endpoint": server, "insecure": True, "bucket": "bucket", "key": key, **LOGIN, **more}


async def test_files_and_folders(server: str, tmp_path: Path) -> None:
    driver = find_driver("s3")
    big = tmp_path / "big"
    big.write_bytes(b"0123456789abcdef" * 800_000)  # goes in parts
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "leaf").write_text("leaf")
    (tree / "top").write_text("ü")
    (tree / "away").symlink_to("/etc/passwd")
    await driver.save(location(server, "one/big"), big, SECRETS)
    await driver.save(location(server, "one/tree"), tree, SECRETS)
    assert await driver.keys(location(server, "one/"), SECRETS) == ["one/big", "one/tree/deep/leaf", "one/tree/top"]
    assert await driver.keys(location(server, "one/t"), SECRETS) == ["one/tree/deep/leaf", "one/tree/top"]
    await driver.load(location(server, "one/big"), tmp_path / "back", SECRETS)
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    await driver.load(location(server, "one/tree"), tmp_path / "folder", SECRETS)
    assert sorted(path.relative_to(tmp_path / "folder").as_posix() for path in (tmp_path / "folder").rglob("*")) == [
        "deep",
        "deep/leaf",
        "top",
    ]
    await driver.delete(location(server, "one/tree"), SECRETS)
    await driver.delete(location(server, "one/tree"), SECRETS)
    assert await driver.keys(location(server, "one"), SECRETS) == ["one/big"]


async def test_what_is_not_there_is_named_and_no_secret_is(server: str, tmp_path: Path) -> None:
    driver = find_driver("s3")
    with pytest.raises(MissingArtifact, match="no artifact is stored under the key 'gone' in s3://bucket"):
        await driver.load(location(server, "gone"), tmp_path / "t", SECRETS)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match=r"s3://nowhere: .*is there such a bucket\?") as raised:
        await driver.save(location(server, "k", bucket="nowhere"), tmp_path / "file", SECRETS)
    assert "pssst" not in str(raised.value)


async def test_a_key_that_leads_out_of_the_folder_is_refused(server: str, tmp_path: Path) -> None:
    headers = {"content-type": "text/plain"}
    httpx.put(f"http://{server}/bucket/evil/a//..//..//b", content="x", headers=headers).raise_for_status()
    httpx.put(f"http://{server}/bucket/evil/%2E%2E/c", content="x", headers=headers).raise_for_status()
    with suppress(ArtifactError):
        await find_driver("s3").load(location(server, "evil"), tmp_path / "in", SECRETS)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "in" not in path.parents] == []


async def test_a_repository_is_a_store(server: str, tmp_path: Path) -> None:
    store = RepositoryArtifacts({"s3": {**location(server, ""), "keyFormat": "x"}, "archiveLogs": True}, CATALOG, prefix="runs")
    (tmp_path / "file").write_text("content")
    await store.save("a/b", tmp_path / "file")
    await store.load("a/b", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "content"
    assert await store.keys("a/") == ["a/b"]
    assert await find_driver("s3").keys(location(server, "runs/"), SECRETS) == ["runs/a/b"]
    await store.delete("a")
    assert await store.keys("") == []
    for wrong in ({}, {"http": {"url": "http://x"}}, {"s3": {}, "gcs": {}}):
        with pytest.raises(UsageError, match="names one of s3, gcs"):
            RepositoryArtifacts(wrong, CATALOG)


REPOSITORY = """
kind: ConfigMap
metadata: {{name: artifact-repositories}}
data:
  lake: |
    s3: {{endpoint: '{server}', insecure: true, bucket: bucket, keyFormat: 'lake/{{{{workflow.name}}}}',
         accessKeySecret: {{name: keys, key: id}}, secretKeySecret: {{name: keys, key: secret}}}}
  broken: "s3: ["
"""


async def test_a_workflow_names_its_repository(server: str) -> None:
    (repository,) = load_documents(REPOSITORY.format(server=server))
    catalog = MemoryCatalog([KEYS, repository.json])
    result = await flowcore.run(PASSES_ON, executor=LocalExecutor(), catalog=catalog)
    assert (result.phase, result.message) == ("Succeeded", "")
    assert result.node("take").outputs == {
        "parameters": [{"name": "seen", "valueFrom": {"path": "/tmp/in"}, "value": "made"}],
        "exitCode": "0",
    }
    assert await find_driver("s3").keys(location(server, "lake/"), SECRETS) == ["lake/passes/file.tgz"]
    with pytest.raises(InvalidWorkflow, match="the artifact repository cannot be read: ConfigMap artifact-repositories, key broken"):
        await flowcore.run(PASSES_ON.replace("lake", "broken"), executor=LocalExecutor(), catalog=catalog)


def test_what_settings_become() -> None:
    amazon = s3_place({"endpoint": "s3.amazonaws.com", "bucket": "b", "key": "k", "region": "eu-west-1", **LOGIN}, SECRETS)
    assert amazon.settings == {
        "region": "eu-west-1",
        "access_key_id": "me",
        "secret_access_key": "pssst",
        "virtual_hosted_style_request": True,
    }
    assert "pssst" not in repr(amazon)
    own = s3_place({"endpoint": "minio:9000", "insecure": True, "bucket": "b", "useSDKCreds": True, **LOGIN}, SECRETS)
    assert "skip_signature" not in own.settings
    assert s3_place({"bucket": "b"}, SECRETS).settings["skip_signature"] is True
    assert (own.settings["endpoint"], own.client, "access_key_id" in own.settings) == ("http://minio:9000", {"allow_http": True}, False)
    virtual = s3_place({"endpoint": "store.example", "bucket": "b", "addressingStyle": "virtual-hosted"}, SECRETS)
    assert virtual.settings["endpoint"] == "https://b.store.example"
    sealed: JsonObject = {"enableEncryption": True, "kmsKeyId": "arn"}
    kms = s3_place({"bucket": "b", "encryptionOptions": sealed}, SECRETS).settings
    assert (kms["server_side_encryption"], kms["sse_kms_key_id"]) == ("aws:kms", "arn")
    customers: JsonObject = {"serverSideCustomerKeySecret": {"name": "keys", "key": "secret"}}
    customer = s3_place({"bucket": "b", "encryptionOptions": customers}, SECRETS).settings
    assert customer["sse_customer_key_base64"] == base64.b64encode(b"pssst").decode()
    oss = oss_place({"endpoint": "oss-cn-hangzhou.aliyuncs.com", "bucket": "b", "key": "k", "securityToken": "t", **LOGIN}, SECRETS)
    assert (oss.settings["endpoint"], oss.settings["session_token"]) == ("https://b.oss-cn-hangzhou.aliyuncs.com", "t")
    gcs = gcs_place({"bucket": "b", "key": "k", "serviceAccountKeySecret": {"name": "keys", "key": "account"}}, SECRETS)
    assert (gcs.provider, gcs.bucket, gcs.client) == ("gcs", "b", {"allow_http": True})
    azure = azure_place({"endpoint": "https://acc.blob.core.windows.net", "container": "c", "blob": "k"}, SECRETS)
    assert (azure.settings["account_name"], azure.bucket, azure.key) == ("acc", "c", "k")
    emulated = azure_place({"endpoint": "http://127.0.0.1:10000/devstoreaccount1", "container": "c", "blob": "k"}, SECRETS)
    assert (emulated.settings["account_name"], emulated.client) == ("devstoreaccount1", {"allow_http": True})


@pytest.mark.parametrize(
    ("read", "place", "message"),
    [
        (s3_place, {"key": "k"}, "s3.bucket is missing"),
        (s3_place, {"bucket": "b", "roleARN": "arn"}, "AWS_ROLE_ARN"),
        (s3_place, {"bucket": "b", "accessKeySecret": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        (oss_place, {"bucket": "b"}, "oss.endpoint is missing"),
        (gcs_place, {"bucket": "b", "serviceAccountKeySecret": {"name": "keys", "key": "bad"}}, "not the JSON of a service account"),
        (azure_place, {"endpoint": "https://a"}, "azure.container is missing"),
    ],
)
def test_places_that_cannot_be(read: object, place: JsonObject, message: str) -> None:
    assert callable(read)
    with pytest.raises(ArtifactError, match=message):
        read(place, SECRETS)

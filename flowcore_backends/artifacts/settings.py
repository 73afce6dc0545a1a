"""From an artifact's location, as Argo writes it, to the settings of an object store. Pure.

``Place`` is what ``drivers.py`` opens: which store, with what settings, and the key within it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from flowcore.artifacts.secrets import SecretReader
from flowcore.errors import ArtifactError
from flowcore.jsontypes import JsonObject, object_of, text_of

Provider = Literal["s3", "gcs", "azure"]


@dataclass(frozen=True, slots=True)
class Place:
    """A store of ``provider`` with its settings, and the key of an object, or the beginning of many keys, in it.

    ``client`` are the settings of the connection. Secrets stand in ``settings``: it is not to be shown.
    """

    provider: Provider
    bucket: str
    key: str
    settings: dict[str, str | bool]
    client: dict[str, str | bool]

    def __repr__(self) -> str:
        return f"Place({self.provider}://{self.bucket}/{self.key})"


Reader = Callable[[JsonObject, SecretReader], Place]


def s3_place(location: JsonObject, secrets: SecretReader) -> Place:
    """A place in S3, or in a store that speaks its language. With ``useSDKCreds`` the environment's credentials are used, as AWS' own
    tools do; without that and without keys nobody is asked for any.

    Raises ArtifactError for what cannot be done.
    """
    if text_of(location, "roleARN"):
        raise ArtifactError("s3.roleARN: taking on a role is left to the environment: set AWS_ROLE_ARN, or give keys")
    endpoint, bucket = text_of(location, "endpoint"), _needed(location, "bucket", "s3")
    insecure = bool(location.get("insecure"))
    settings: dict[str, str | bool] = {"region": text_of(location, "region") or "us-east-1"}
    _add_keys(settings, location, secrets)
    if token := secrets.optional(location.get("sessionTokenSecret")):
        settings["session_token"] = token
    virtual = text_of(location, "addressingStyle") == "virtual-hosted" or _is_amazons(endpoint)
    settings["virtual_hosted_style_request"] = virtual
    if endpoint and not _is_amazons(endpoint):
        url = _url(endpoint, insecure=insecure)
        settings["endpoint"] = _with_bucket(url, bucket) if virtual else url
    _add_encryption(settings, object_of(location, "encryptionOptions"), secrets)
    client: dict[str, str | bool] = {"allow_http": insecure}
    if authority := secrets.optional(location.get("caSecret")):
        client["root_certificate"] = authority
    return Place("s3", bucket, text_of(location, "key"), settings, client)


def oss_place(location: JsonObject, secrets: SecretReader) -> Place:
    """A place in Alibaba OSS, by the language of S3 that it speaks. Raises ArtifactError."""
    bucket, endpoint = _needed(location, "bucket", "oss"), _url(_needed(location, "endpoint", "oss"), insecure=False)
    settings: dict[str, str | bool] = {"region": "us-east-1", "virtual_hosted_style_request": True}
    settings["endpoint"] = _with_bucket(endpoint, bucket)
    _add_keys(settings, location, secrets)
    if token := text_of(location, "securityToken"):
        settings["session_token"] = token
    return Place("s3", bucket, text_of(location, "key"), settings, {"allow_http": endpoint.startswith("http:")})


def gcs_place(location: JsonObject, secrets: SecretReader) -> Place:
    """A place in Google Cloud Storage. Without a key file the environment's credentials are used. Raises ArtifactError."""
    settings: dict[str, str | bool] = {}
    client: dict[str, str | bool] = {}
    if account := secrets.optional(location.get("serviceAccountKeySecret")):
        settings["service_account_key"] = account
        client["allow_http"] = _base_url(account).startswith("http:")
    return Place("gcs", _needed(location, "bucket", "gcs"), text_of(location, "key"), settings, client)


def azure_place(location: JsonObject, secrets: SecretReader) -> Place:
    """A place in Azure Blob Storage. Raises ArtifactError."""
    endpoint = _url(_needed(location, "endpoint", "azure"), insecure=False)
    parts = urlsplit(endpoint)
    host, path = parts.hostname or "", parts.path.strip("/")
    account = path.split("/")[0] if path else host.split(".")[0]  # an emulator has the account in the path
    settings: dict[str, str | bool] = {"account_name": account, "endpoint": endpoint}
    if key := secrets.optional(location.get("accountKeySecret")):
        settings["account_key"] = key
    return Place(
        "azure", _needed(location, "container", "azure"), text_of(location, "blob"), settings, {"allow_http": parts.scheme == "http"}
    )


def _needed(location: JsonObject, field: str, kind: str) -> str:
    value = text_of(location, field)
    if not value:
        raise ArtifactError(f"{kind}.{field} is missing: it says where the artifact is")
    return value


def _add_keys(settings: dict[str, str | bool], location: JsonObject, secrets: SecretReader) -> None:
    if location.get("useSDKCreds"):
        return
    if location.get("accessKeySecret") is None:  # what this machine may do is not lent to a document that does not ask for it
        settings["skip_signature"] = True
    if access := secrets.optional(location.get("accessKeySecret")):
        settings["access_key_id"] = access.strip()
    if secret := secrets.optional(location.get("secretKeySecret")):
        settings["secret_access_key"] = secret.strip()


def _add_encryption(settings: dict[str, str | bool], options: JsonObject, secrets: SecretReader) -> None:
    customer = secrets.optional(options.get("serverSideCustomerKeySecret"))
    if customer is not None:
        settings["server_side_encryption"] = "sse-c"
        settings["sse_customer_key_base64"] = base64.b64encode(customer.encode()).decode()
    elif options.get("enableEncryption"):
        key = text_of(options, "kmsKeyId")
        settings["server_side_encryption"] = "aws:kms" if key else "AES256"
        if key:
            settings["sse_kms_key_id"] = key


def _is_amazons(endpoint: str) -> bool:
    host = urlsplit(_url(endpoint, insecure=False)).hostname or ""
    return not endpoint or host == "amazonaws.com" or host.endswith(".amazonaws.com")


def _url(endpoint: str, *, insecure: bool) -> str:
    if not endpoint or "://" in endpoint:
        return endpoint
    return f"{'http' if insecure else 'https'}://{endpoint}"


def _with_bucket(url: str, bucket: str) -> str:
    scheme, _, host = url.partition("://")
    return f"{scheme}://{bucket}.{host}"


def _base_url(account: str) -> str:
    """The address that a key file names, which only those of emulators do."""
    try:
        read = json.loads(account)
    except ValueError:
        raise ArtifactError("gcs.serviceAccountKeySecret: the key is not the JSON of a service account") from None
    return str(read.get("gcs_base_url", "")) if isinstance(read, dict) else ""


__all__ = ["Place", "Reader", "azure_place", "gcs_place", "oss_place", "s3_place"]

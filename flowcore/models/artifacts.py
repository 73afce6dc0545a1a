"""``Artifact`` and the places one can be in. Secrets are references into Kubernetes objects and pass through as they are."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from flowcore.models.base import Bool, FreeObject, Int32, Model, StringMap, UInt64, alias, empty_list


class Metadata(Model):
    """Labels and annotations, for pods."""

    labels: StringMap | None = None
    annotations: StringMap | None = None


class S3Artifact(Model):
    """An object in an S3 bucket; with ``key`` alone, bucket and endpoint come from the default repository."""

    endpoint: str = ""
    bucket: str = ""
    region: str = ""
    insecure: Bool | None = None
    access_key_secret: FreeObject | None = None
    secret_key_secret: FreeObject | None = None
    session_token_secret: FreeObject | None = None
    role_arn: str = alias("roleARN", default="")
    use_sdk_creds: Bool = alias("useSDKCreds", default=False)
    create_bucket_if_not_present: FreeObject | None = None
    encryption_options: FreeObject | None = None
    ca_secret: FreeObject | None = None
    addressing_style: str = ""
    key: str = ""


class GitArtifact(Model):
    """A checkout of a git repository."""

    repo: str = ""
    revision: str = ""
    depth: UInt64 | None = None
    fetch: list[str] = empty_list()
    username_secret: FreeObject | None = None
    password_secret: FreeObject | None = None
    ssh_private_key_secret: FreeObject | None = None
    insecure_ignore_host_key: Bool = False
    disable_submodules: Bool = False
    single_branch: Bool = False
    branch: str = ""
    insecure_skip_tls: Bool = alias("insecureSkipTLS", default=False)


class Header(Model):
    """One header of an HTTP request."""

    name: str = ""
    value: str = ""


class HTTPArtifact(Model):
    """A file behind a URL."""

    url: str = ""
    headers: list[Header] = empty_list()
    auth: FreeObject | None = None
    save_stream_via_file: Bool = False


class ArtifactoryArtifact(Model):
    """A file in an Artifactory repository."""

    url: str = ""
    username_secret: FreeObject | None = None
    password_secret: FreeObject | None = None


class HDFSArtifact(Model):
    """A file or folder of a Hadoop file system."""

    addresses: list[str] = empty_list()
    hdfs_user: str = ""
    data_transfer_protection: str = ""
    krb_c_cache_secret: FreeObject | None = alias("krbCCacheSecret")
    krb_keytab_secret: FreeObject | None = None
    krb_username: str = ""
    krb_realm: str = ""
    krb_config_config_map: FreeObject | None = None
    krb_service_principal_name: str = ""
    path: str = ""
    force: Bool = False


class RawArtifact(Model):
    """Content given in the document itself."""

    data: str = ""


class OSSArtifact(Model):
    """An object in an Alibaba OSS bucket."""

    endpoint: str = ""
    bucket: str = ""
    access_key_secret: FreeObject | None = None
    secret_key_secret: FreeObject | None = None
    create_bucket_if_not_present: Bool = False
    security_token: str = ""
    lifecycle_rule: FreeObject | None = None
    use_sdk_creds: Bool = alias("useSDKCreds", default=False)
    key: str = ""


class GCSArtifact(Model):
    """An object in a Google Cloud Storage bucket."""

    bucket: str = ""
    service_account_key_secret: FreeObject | None = None
    key: str = ""


class AzureArtifact(Model):
    """A blob of an Azure container."""

    endpoint: str = ""
    container: str = ""
    account_key_secret: FreeObject | None = None
    use_sdk_creds: Bool = alias("useSDKCreds", default=False)
    blob: str = ""


class PluginArtifact(Model):
    """An artifact that a named driver reads and writes."""

    name: str = ""
    configuration: str = ""
    connection_timeout_seconds: Int32 = 0
    key: str = ""


ArtifactSource = (
    ArtifactoryArtifact
    | AzureArtifact
    | GitArtifact
    | GCSArtifact
    | HDFSArtifact
    | HTTPArtifact
    | OSSArtifact
    | RawArtifact
    | S3Artifact
    | PluginArtifact
)


class ArtifactLocation(Model):
    """Where an artifact is: at most one of the places is set."""

    archive_logs: Bool | None = None
    s3: S3Artifact | None = None
    git: GitArtifact | None = None
    http: HTTPArtifact | None = None
    artifactory: ArtifactoryArtifact | None = None
    hdfs: HDFSArtifact | None = None
    raw: RawArtifact | None = None
    oss: OSSArtifact | None = None
    gcs: GCSArtifact | None = None
    azure: AzureArtifact | None = None
    plugin: PluginArtifact | None = None

    SEARCH_ORDER: ClassVar[tuple[str, ...]] = ("artifactory", "azure", "git", "gcs", "hdfs", "http", "oss", "raw", "s3", "plugin")

    @property
    def location(self) -> ArtifactSource | None:
        """The place that is set; of several, the first in Argo's order."""
        for name in self.SEARCH_ORDER:
            source: ArtifactSource | None = getattr(self, name)
            if source is not None:
                return source
        return None

    @property
    def has_location(self) -> bool:
        """Whether the place is complete: it needs nothing from the default repository."""
        source = self.location
        return source is not None and all(getattr(source, field) for field in _COMPLETE[type(source)])

    @property
    def has_key(self) -> bool:
        """Whether the place says at least which object is meant, so that a repository can supply the rest."""
        source = self.location
        key = getattr(source, _KEY[type(source)]) if type(source) in _KEY else ""
        return bool(_url_path(key) if isinstance(source, (HTTPArtifact, ArtifactoryArtifact)) else key)


def _url_path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


_COMPLETE: dict[type[object], tuple[str, ...]] = {
    S3Artifact: ("endpoint", "bucket", "key"),
    GitArtifact: ("repo",),
    HTTPArtifact: ("url",),
    ArtifactoryArtifact: ("url", "username_secret"),
    HDFSArtifact: ("addresses",),
    RawArtifact: (),
    OSSArtifact: ("bucket", "endpoint", "key"),
    GCSArtifact: ("bucket", "key"),
    AzureArtifact: ("endpoint", "container", "blob"),
    PluginArtifact: ("name", "configuration", "key"),
}
_KEY: dict[type[object], str] = {
    S3Artifact: "key",
    HTTPArtifact: "url",
    ArtifactoryArtifact: "url",
    HDFSArtifact: "path",
    OSSArtifact: "key",
    GCSArtifact: "key",
    AzureArtifact: "blob",
    PluginArtifact: "key",
}


class TarStrategy(Model):
    """Pack as a gzipped tar; level 0 is no compression, -1 the default one."""

    compression_level: Int32 | None = None


class ArchiveStrategy(Model):
    """How an output artifact is packed: gzipped tar when nothing is said."""

    tar: TarStrategy | None = None
    none: FreeObject | None = None
    zip: FreeObject | None = None


class ArtifactGC(Model):
    """When an artifact is deleted: OnWorkflowCompletion, OnWorkflowDeletion or Never."""

    strategy: str = ""
    pod_metadata: Metadata | None = None
    service_account_name: str = ""


class WorkflowArtifactGC(ArtifactGC):
    """The same for all artifacts of a workflow."""

    force_finalizer_removal: Bool = False
    pod_spec_patch: str = ""


class Artifact(ArtifactLocation):
    """A file or folder that is passed, declared or produced."""

    name: str = ""
    path: str = ""
    mode: Int32 | None = None
    from_: str = alias("from", default="")
    from_expression: str = ""
    global_name: str = ""
    archive: ArchiveStrategy | None = None
    optional: Bool = False
    sub_path: str = ""
    recurse_mode: Bool = False
    artifact_gc: ArtifactGC | None = alias("artifactGC")
    deleted: Bool = False

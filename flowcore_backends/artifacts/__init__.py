"""Drivers for artifacts in object stores: S3 and what speaks it, Google Cloud Storage, Azure Blob Storage, Alibaba OSS (extra ``s3``).

``flowcore.artifacts.drivers`` finds them by their entry points; ``RepositoryArtifacts`` makes a run's own store of them.
"""

from __future__ import annotations

from flowcore_backends.artifacts.drivers import ObjectStoreDriver, azure_driver, gcs_driver, oss_driver, s3_driver

__all__ = ["ObjectStoreDriver", "azure_driver", "gcs_driver", "oss_driver", "s3_driver"]

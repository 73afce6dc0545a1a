"""The image of the container that holds a pod's network and volumes: one program of a few bytes that waits for ever.

It is made on the spot, because an engine may have no registry to get one from, and works beside images of whatever kind.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile

from flowcore.errors import ExecutorError

REPOSITORY, LABEL = "flowcore/pause", "flowcore.image"
_BASE, _HEADERS = 0x400000, 64 + 56
_X86_64, _AARCH64 = 62, 183

# pause(), again and again
_X86_64_CODE = bytes([0xB8, 34, 0, 0, 0, 0x0F, 0x05, 0xEB, 0xF7])
# ppoll(NULL, 0, NULL, NULL), again and again
_AARCH64_CODE = struct.pack("<7I", 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800928, 0xD4000001, 0x17FFFFFA)
_PROGRAMS = {
    "x86_64": (_X86_64, _X86_64_CODE),
    "amd64": (_X86_64, _X86_64_CODE),
    "aarch64": (_AARCH64, _AARCH64_CODE),
    "arm64": (_AARCH64, _AARCH64_CODE),
}


def program(architecture: str) -> bytes:
    """A Linux program that waits for ever. Raises ExecutorError for an architecture that we have none for."""
    if architecture not in _PROGRAMS:
        raise ExecutorError(
            f"pods with several containers need an image that does nothing for ever, and there is none of ours for {architecture}; "
            "give DockerExecutor(pause_image='registry.k8s.io/pause:3.10') or another"
        )
    machine, code = _PROGRAMS[architecture]
    size = _HEADERS + len(code)
    header = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def tag_of(architecture: str) -> str:
    """The tag of the image for an architecture."""
    return f"1-{architecture}"


def image_tar(architecture: str) -> bytes:
    """The files of the image."""
    content = program(architecture)
    file = tarfile.TarInfo("pause")
    file.mode, file.size = 0o755, len(content)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        tar.addfile(file, io.BytesIO(content))
    return written.getvalue()


def image_changes() -> str:
    """What the image runs, and the label that it is known by."""
    return f"ENTRYPOINT {json.dumps(['/pause'])}\nLABEL {LABEL}=pause"

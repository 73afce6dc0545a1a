"""Archives made to do harm: none writes outside its target, none leaves more than its bounds, all end in an error of ours."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.artifacts.archive import Archive, Limits, unpack
from flowcore.artifacts.fresh_folder import FreshFolder, parts_of
from flowcore.artifacts.tar_members import TarReader
from flowcore.errors import ArtifactError, UnsafeArchive

TAR, ZIP = Archive("tar"), Archive("zip")
Build = Callable[[tarfile.TarFile], None]


def file(tar: tarfile.TarFile, name: str, content: bytes = b"evil", mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def special(tar: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    tar.addfile(member)


def link(tar: tarfile.TarFile, name: str, target: str) -> None:
    special(tar, name, tarfile.SYMTYPE, target)


def build(path: Path, members: Build) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        members(tar)
    return path


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """A folder in a folder; afterwards nothing but ``cell`` may be in the outer one, and its neighbour must be untouched."""
    (tmp_path / "cell").mkdir()
    (tmp_path / "neighbour").write_text("untouched")
    return tmp_path / "cell"


def untouched(cell: Path) -> bool:
    return (
        sorted(path.name for path in cell.parent.iterdir()) == ["cell", "neighbour"]
        and (cell.parent / "neighbour").read_text() == "untouched"
    )


def through_a_long_path(tar: tarfile.TarFile) -> None:
    """The way around ``filter="data"`` (CVE-2025-4517): links whose resolved path is longer than PATH_MAX, so that realpath gives up."""
    part, path = "d" * 247, ""
    for step in "abcdefghijklmnop":
        special(tar, path + part, tarfile.DIRTYPE)
        link(tar, path + step, part)
        path += part + "/"
    chain = "/".join("abcdefghijklmnop")
    link(tar, f"{chain}/{'l' * 254}", "../" * 16)
    link(tar, "escape", f"{chain}/{'l' * 254}/../..")
    special(tar, "flaglink", tarfile.LNKTYPE, "escape/neighbour")
    file(tar, "flaglink")


HOSTILE: dict[str, Build] = {
    "a name that goes up": lambda tar: file(tar, "../neighbour"),
    "a name that goes up in the middle": lambda tar: file(tar, "a/../../neighbour"),
    "a folder that goes up": lambda tar: special(tar, "../made", tarfile.DIRTYPE),
    "a file below a link": lambda tar: (link(tar, "out", ".."), file(tar, "out/neighbour"))[0],
    "a file below a link to a sibling": lambda tar: (special(tar, "d", tarfile.DIRTYPE), link(tar, "l", "d"), file(tar, "l/f"))[0],
    "a file in place of a link": lambda tar: (file(tar, "x"), link(tar, "l", "../neighbour"), file(tar, "y"))[0],
    "an absolute link": lambda tar: (file(tar, "x"), link(tar, "l", "/etc/passwd"))[0],
    "an empty link": lambda tar: (file(tar, "x"), link(tar, "l", ""))[0],
    "a link that goes up": lambda tar: (file(tar, "x"), link(tar, "l", "../../neighbour"))[0],
    "a link and nothing else": lambda tar: link(tar, "l", "x"),
    "a link out of the only entry": lambda tar: (special(tar, "d", tarfile.DIRTYPE), link(tar, "d/l", "../x"))[0],
    "a chain of links, each inside": lambda tar: (
        file(tar, "other"),
        file(tar, "a/b/c/f"),
        link(tar, "a/b/c/root", "../../.."),
        link(tar, "far", "a/b/c/root/../../.."),
    )[0],
    "a chain through a missing folder": lambda tar: (file(tar, "x"), file(tar, "y"), link(tar, "l", "missing/../../neighbour"))[0],
    "links in a circle": lambda tar: (file(tar, "x"), link(tar, "a", "b"), link(tar, "b", "a"))[0],
    "links past PATH_MAX": through_a_long_path,
    "a hard link out": lambda tar: (file(tar, "x"), special(tar, "h", tarfile.LNKTYPE, "../neighbour"))[0],
    "a hard link to a machine's file": lambda tar: (file(tar, "x"), special(tar, "h", tarfile.LNKTYPE, "/etc/passwd"))[0],
    "a hard link to a link": lambda tar: (file(tar, "x"), link(tar, "l", "x"), special(tar, "h", tarfile.LNKTYPE, "l"))[0],
    "a character device": lambda tar: special(tar, "dev", tarfile.CHRTYPE),
    "a block device": lambda tar: special(tar, "dev", tarfile.BLKTYPE),
    "a named pipe": lambda tar: special(tar, "pipe", tarfile.FIFOTYPE),
    "an unknown type": lambda tar: special(tar, "what", b"Z"),
    "a folder in place of a file": lambda tar: (file(tar, "a"), file(tar, "a/b"))[0],
    "a file in place of a folder": lambda tar: (file(tar, "a/b"), file(tar, "a"))[0],
    "an entry without a name": lambda tar: file(tar, "./."),
    "a name that is too long": lambda tar: file(tar, "x/" * 3000),
    "a name that lies too deep": lambda tar: file(tar, "x/" * 250 + "y"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tars_are_refused_and_leave_nothing(cell: Path, name: str) -> None:
    packed = build(cell / "packed", HOSTILE[name])
    with pytest.raises(ArtifactError):
        unpack(packed, cell / "target", TAR)
    assert untouched(cell)
    assert list(cell.iterdir()) == []


def test_setuid_and_sticky_bits_are_taken_off(cell: Path) -> None:
    build(cell / "packed", lambda tar: file(tar, "su", mode=0o7755))
    unpack(cell / "packed", cell / "target")
    assert (cell / "target").stat().st_mode & 0o7777 == 0o755


def test_links_that_stay_inside_are_made(cell: Path) -> None:
    def members(tar: tarfile.TarFile) -> None:
        file(tar, "d/sub/f", b"inside")
        link(tar, "d/sub/self", ".")
        link(tar, "d/top", "sub/self/../sub/self/f")

    build(cell / "packed", members)
    unpack(cell / "packed", cell / "target")
    assert (cell / "target" / "top").read_bytes() == b"inside"


# --- bombs --------------------------------------------------------------------------------------------------------------------------


def test_a_bomb_is_defused_by_its_ratio(cell: Path) -> None:
    build(cell / "packed", lambda tar: file(tar, "zeros", bytes(4 << 20)))
    with pytest.raises(UnsafeArchive, match="unpacks to more than"):
        unpack(cell / "packed", cell / "target", limits=Limits(ratio=20, ratio_from=1 << 20))
    assert list(cell.iterdir()) == []


@pytest.mark.parametrize("archive", [TAR, ZIP])
def test_total_size_and_number_of_entries_are_bounded(cell: Path, archive: Archive) -> None:
    for number, limits in enumerate((Limits(total=20_000), Limits(members=3))):
        packed = cell / f"packed-{number}"
        if archive is TAR:
            build(packed, lambda tar: [file(tar, f"f{index}", os.urandom(9000)) for index in range(5)] and None)
        else:
            with zipfile.ZipFile(packed, "w") as made:
                for index in range(5):
                    made.writestr(f"f{index}", os.urandom(9000))
        with pytest.raises(UnsafeArchive, match="more than"):
            unpack(packed, cell / "target", archive, limits)
    assert list(cell.iterdir()) == []


def test_copies_by_hard_links_count(cell: Path) -> None:
    def members(tar: tarfile.TarFile) -> None:
        file(tar, "a", os.urandom(9000))
        for index in range(5):
            special(tar, f"h{index}", tarfile.LNKTYPE, "a")

    with pytest.raises(UnsafeArchive, match="more than"):
        unpack(build(cell / "packed", members), cell / "target", limits=Limits(total=30_000))


def test_headers_are_bounded_before_they_are_read(cell: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    (cell / "packed").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT)))
    with pytest.raises(UnsafeArchive, match="a header of 1099511627776 bytes"):
        unpack(cell / "packed", cell / "target", TAR)


def test_sparse_files_are_refused(cell: Path) -> None:
    def members(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo("sparse")
        member.pax_headers = {"GNU.sparse.realsize": str(1 << 50), "GNU.sparse.major": "1"}
        tar.addfile(member)

    with pytest.raises(UnsafeArchive, match="sparse"):
        unpack(build(cell / "packed", members), cell / "target", TAR)


def test_zip_entries_that_share_bytes_are_refused(cell: Path) -> None:
    """A zip bomb without recursion: many directory entries that point at the same packed bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", bytes(100_000))
    raw = made.getvalue()
    start = raw.index(b"PK\x01\x02")
    end = raw.index(b"PK\x05\x06")
    entries = b"".join(raw[start:end].replace(b"a" + b"", b"a", 1)[:46] + bytes([97 + index]) for index in range(3))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, len(entries), start, 0)
    (cell / "packed").write_bytes(raw[:start] + entries + tail)
    with pytest.raises(ArtifactError, match="overlaps"):
        unpack(cell / "packed", cell / "target", ZIP)
    assert list(cell.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "mode", "content"),
    [
        ("../neighbour", 0o100644, b"evil"),
        ("d/../../neighbour", 0o100644, b"evil"),
        ("l", 0o120777, b"/etc/passwd"),
        ("d/l", 0o120777, b"../../neighbour"),
        ("dev", 0o020666, b""),
        ("pipe", 0o010666, b""),
    ],
)
def test_hostile_zips_are_refused(cell: Path, name: str, mode: int, content: bytes) -> None:
    with zipfile.ZipFile(cell / "packed", "w") as packed:
        packed.writestr("harmless", "x")
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        packed.writestr(member, content)
    with pytest.raises(UnsafeArchive):
        unpack(cell / "packed", cell / "target", ZIP)
    assert untouched(cell)


def test_absolute_names_in_zips_stay_below_the_target(cell: Path) -> None:
    with zipfile.ZipFile(cell / "packed", "w") as packed:
        packed.writestr("/tmp/outputs/f", "x")
        packed.writestr("/tmp/outputs/g", "y")
    unpack(cell / "packed", cell / "target", ZIP)
    assert {path.name for path in (cell / "target").rglob("*")} == {"outputs", "f", "g"}


# --- damage -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x03\x04 broken", b"\x1f\x8b\x08\x00 broken", gzip.compress(b"x" * 600, mtime=0)]
)
@pytest.mark.parametrize("archive", [TAR, ZIP])
def test_what_is_no_archive_is_an_error_of_ours(cell: Path, archive: Archive, content: bytes) -> None:
    (cell / "packed").write_bytes(content)
    if archive is TAR and not content:  # nothing at all is an empty tar, as for every reader
        unpack(cell / "packed", cell / "target", archive)
        return
    with pytest.raises(ArtifactError):
        unpack(cell / "packed", cell / "target", archive)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_tars_end_in_our_errors_or_well(data: st.DataObject) -> None:
    """Whatever bytes change, the outcome is a tree below the target or an ArtifactError."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        file(tar, "d/f", b"content")
        file(tar, "d/" + "ü" * 80, b"x")
        link(tar, "d/l", "f")
    raw = bytearray(plain.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    with tempfile.TemporaryDirectory() as place:
        Path(place, "packed").write_bytes(raw)
        try:
            unpack(Path(place, "packed"), Path(place, "target"), TAR)
        except ArtifactError:
            assert os.listdir(place) == []
        else:
            assert os.listdir(place) == ["target"]


@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=3000))
def test_any_bytes_at_all_can_be_read_as_a_tar(raw: bytes) -> None:
    try:
        for member in TarReader(io.BytesIO(raw)):
            assert member.size >= 0
    except ArtifactError:
        pass


NAME = st.text(st.sampled_from("ab./\\~ \0ü"), max_size=12)


@given(name=NAME)
def test_names_are_refused_or_stay_below(name: str) -> None:
    try:
        parts = parts_of(name)
    except UnsafeArchive:
        assert ".." in name.split("/") or "\0" in name
    else:
        assert not {"", ".", ".."} & set(parts)


@settings(max_examples=150, deadline=None)
@given(
    links=st.lists(
        st.tuples(
            st.sampled_from(["l", "d/l", "d/e/l", "m", "d/m"]),
            st.lists(st.sampled_from(["..", ".", "d", "e", "l", "m", "f"]), min_size=1, max_size=6),
        ),
        max_size=4,
    )
)
def test_no_set_of_links_leads_outside(links: list[tuple[str, list[str]]]) -> None:
    """Every link that is made resolves, by the machine itself, to a place inside; from the target a link can reach no neighbour."""
    with tempfile.TemporaryDirectory() as outer:
        place = Path(outer, "fresh").resolve()
        try:
            with FreshFolder(place) as folder:
                for name in ("f", "d/f", "d/e/f"):
                    with folder.file(name, 0o644, 0) as opened:
                        opened.write(b"x")
                for name, target in links:
                    folder.link(name, "/".join(target))
                folder.create_links()
        except UnsafeArchive:
            return
        for name, _ in links:
            real = Path(os.path.realpath(place / name))
            assert real == place or place in real.parents

"""Packing and unpacking, Argo's rules for what becomes of an archive, and what passes between our packer and other programs."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.artifacts.archive import Archive, archive_of, is_tarball, pack, unpack
from flowcore.errors import ArtifactError

TAR, ZIP, NONE = Archive("tar"), Archive("zip"), Archive("none")


def tree(folder: Path) -> dict[str, Any]:
    """What is in a folder: content and mode of files, targets of links, None for folders."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = (
            f"-> {path.readlink()}"
            if path.is_symlink()
            else None
            if path.is_dir()
            else (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        )
    return found


def grow(folder: Path) -> Path:
    """A folder with a bit of everything."""
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "sub" / "deep" / "ü").write_bytes(bytes(range(256)) * 300)
    (folder / "sub" / "up").symlink_to("../a.txt")
    (folder / "sub" / "dangling").symlink_to("nowhere")
    (folder / ("long" * 40)).write_text("a name of 160 characters")
    return folder


@pytest.mark.parametrize("archive", [TAR, ZIP, Archive("tar", 0), Archive("tar", 9)])
def test_a_folder_comes_back_as_it_was(tmp_path: Path, archive: Archive) -> None:
    source = grow(tmp_path / "source")
    pack(source, tmp_path / "packed", "anything", archive)
    unpack(tmp_path / "packed", tmp_path / "target", archive)
    assert tree(tmp_path / "target") == tree(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


@pytest.mark.parametrize("archive", [TAR, ZIP, NONE])
def test_a_file_comes_back_as_a_file(tmp_path: Path, archive: Archive) -> None:
    (tmp_path / "f").write_bytes(b"\x00\xff")
    pack(tmp_path / "f", tmp_path / "packed", "f", archive)
    unpack(tmp_path / "packed", tmp_path / "target", archive)
    assert (tmp_path / "target").read_bytes() == b"\x00\xff"


def test_an_opened_folder_can_be_packed(tmp_path: Path) -> None:
    number = os.open(grow(tmp_path / "source"), os.O_RDONLY)
    try:
        pack(number, tmp_path / "packed", "anything", TAR)
    finally:
        os.close(number)
    unpack(tmp_path / "packed", tmp_path / "target")
    assert tree(tmp_path / "target") == tree(tmp_path / "source")


def test_packed_none_a_folder_keeps_its_files_and_loses_its_links(tmp_path: Path) -> None:
    (tmp_path / "s" / "d").mkdir(parents=True)
    (tmp_path / "s" / "d" / "f").write_text("x")
    (tmp_path / "s" / "l").symlink_to("/etc/passwd")
    pack(tmp_path / "s", tmp_path / "packed", "s", NONE)
    assert tree(tmp_path / "packed") == {"d": None, "d/f": (b"x", 0o644)}


def test_what_is_neither_file_nor_folder_is_left_out_or_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    os.mkfifo(tmp_path / "s" / "pipe")
    pack(tmp_path / "s", tmp_path / "packed", "s", TAR)
    with tarfile.open(tmp_path / "packed") as tar:
        assert tar.getnames() == ["s"]
    with pytest.raises(ArtifactError, match="p is not a regular file or directory"):
        pack(tmp_path / "s" / "pipe", tmp_path / "packed", "p", TAR)
    with pytest.raises(ArtifactError, match=r"none could not be packed: .*No such file"):
        pack(tmp_path / "none", tmp_path / "packed", "none", TAR)


def test_equal_content_gives_equal_archives(tmp_path: Path) -> None:
    grow(tmp_path / "s")
    for name in ("one", "two"):
        pack(tmp_path / "s", tmp_path / name, "s", TAR)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


# --- what becomes of what is loaded -------------------------------------------------------------------------------------------------


def tarball(path: Path, *members: str, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name in members:
            member = tarfile.TarInfo(name.rstrip("/"))
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            member.size = 0 if name.endswith("/") else len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return path


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (["one"], "one"),
        (["dir/", "dir/one"], {"one"}),
        (["dir/one", "dir/two"], {"one", "two"}),
        (["one", "two"], {"one", "two"}),
        (["./", "./one"], "./one"),
        (["/abs/one", "/abs/two"], {"one", "two"}),
        ([], set()),
    ],
)
def test_a_single_entry_becomes_the_target_and_several_a_folder(tmp_path: Path, members: list[str], expected: Any) -> None:
    unpack(tarball(tmp_path / "packed", *members), tmp_path / "target", TAR)
    target = tmp_path / "target"
    assert (target.read_text() if target.is_file() else {path.name for path in target.iterdir()}) == expected


@pytest.mark.parametrize(
    ("content", "packed"),
    [
        (b"plain", False),
        (b"", False),
        (gzip.compress(b"only gzipped, no tar in it" * 100, mtime=0), False),
        (gzip.compress(b"", mtime=0), False),
        (b"\x1f\x8b" + b"broken", False),
    ],
)
def test_only_gzipped_tars_are_detected(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = tmp_path / "loaded"
    path.write_bytes(content)
    assert is_tarball(path) is packed
    unpack(path, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content


def test_a_tarball_is_detected_unless_the_artifact_says_none(tmp_path: Path) -> None:
    assert is_tarball(tarball(tmp_path / "one", "f"))
    unpack(tmp_path / "one", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "f"
    tarball(tmp_path / "two", "f")
    unpack(tmp_path / "two", tmp_path / "kept", NONE)
    assert is_tarball(tmp_path / "kept")


def test_an_ungzipped_tar_and_a_zip_are_not_detected_but_can_be_asked_for(tmp_path: Path) -> None:
    assert not is_tarball(tarball(tmp_path / "t", "f", mode="w:"))
    with zipfile.ZipFile(tmp_path / "z", "w") as made:
        made.writestr("f", "zipped")
    assert not is_tarball(tmp_path / "z")
    unpack(tmp_path / "t", tmp_path / "from-tar", TAR)
    unpack(tmp_path / "z", tmp_path / "from-zip", ZIP)
    assert ((tmp_path / "from-tar").read_text(), (tmp_path / "from-zip").read_text()) == ("f", "zipped")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_forms_of_tar_are_read(tmp_path: Path, form: int) -> None:
    long = "/".join(["d" * 20] * 6) + "/file"
    with tarfile.open(tmp_path / "packed", "w:gz", format=form) as tar:
        for name in (long, "ü" * 30):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = 3, 1000, 0o640
            tar.addfile(member, io.BytesIO(b"abc"))
    unpack(tmp_path / "packed", tmp_path / "target")
    for name in (long, "ü" * 30):
        facts = (tmp_path / "target" / name).stat()
        assert (facts.st_size, int(facts.st_mtime), stat.S_IMODE(facts.st_mode)) == (3, 1000, 0o640)


def test_hard_links_become_copies(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "packed", "w:gz") as tar:
        member = tarfile.TarInfo("d/one")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("d/two")
        link.type, link.linkname = tarfile.LNKTYPE, "d/one"
        tar.addfile(link)
    unpack(tmp_path / "packed", tmp_path / "target")
    assert (tmp_path / "target" / "two").read_bytes() == b"abc"
    assert (tmp_path / "target" / "one").stat().st_nlink == 1


def test_a_later_entry_replaces_an_earlier_one(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "packed", "w:gz") as tar:
        for content in (b"old", b"newer"):
            member = tarfile.TarInfo("f")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    unpack(tmp_path / "packed", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"newer"


def test_a_folder_or_git_checkout_is_moved_as_it_is(tmp_path: Path) -> None:
    grow(tmp_path / "loaded")
    expected = tree(tmp_path / "loaded")
    unpack(tmp_path / "loaded", tmp_path / "target", TAR)
    assert tree(tmp_path / "target") == expected


# --- names --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name", "path", "file"),
    [
        (None, "out", "/tmp/x.txt", "out.tgz"),
        ({"tar": {}}, "out", "/tmp/x.txt", "out.tgz"),
        ({"zip": {}}, "out", "/tmp/x.txt", "out.zip"),
        ({"none": {}}, "out", "/tmp/x.txt", "x.txt"),
        ({"none": {}}, "out", "/tmp/folder/", "folder"),
        ({"none": {}, "tar": {}}, "out", "/tmp/x", "x"),
    ],
)
def test_file_names_are_argos(given: Any, name: str, path: str, file: str) -> None:
    assert (archive_of({"archive": given}) or Archive()).file_name(name, path) == file


@pytest.mark.parametrize(("level", "ok"), [(-1, True), (0, True), (9, True), (10, False), (-2, False), ("9", False)])
def test_compression_levels(level: Any, ok: bool) -> None:
    settings: Any = {"archive": {"tar": {"compressionLevel": level}}}
    if ok:
        assert archive_of(settings) == Archive("tar", level)
    else:
        with pytest.raises(ArtifactError, match="compressionLevel"):
            archive_of(settings)


NAMES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)


@settings(max_examples=40, deadline=None)
@given(
    files=st.dictionaries(NAMES, st.binary(max_size=2000), max_size=6),
    folder=NAMES,
    archive=st.sampled_from([TAR, ZIP, Archive("tar", 0)]),
)
def test_whatever_files_are_called_they_come_back(files: dict[str, bytes], folder: str, archive: Archive) -> None:
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "s", folder)
        source.mkdir(parents=True)
        for name, content in files.items():
            (source / name).write_bytes(content)
        pack(Path(place, "s"), Path(place, "packed"), "s", archive)
        unpack(Path(place, "packed"), Path(place, "target"), archive)
        assert tree(Path(place, "target")) == tree(Path(place, "s"))

"""Stores of artifacts: what is saved is found again, and no key leads out of its store."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.artifacts import FolderArtifacts, MemoryArtifacts
from flowcore.artifacts.keys import parts_of_key
from flowcore.errors import ArtifactError, MissingArtifact
from flowcore.ports import ArtifactStore


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return FolderArtifacts(tmp_path / "store") if request.param == "folder" else MemoryArtifacts()


async def put(store: ArtifactStore, place: Path, **files: str) -> None:
    for key, content in files.items():
        (place / "source").write_text(content)
        await store.save(key.replace("__", "/"), place / "source")


async def test_files_and_folders_come_back(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "made" / "sub").mkdir(parents=True)
    (tmp_path / "made" / "sub" / "f").write_text("deep")
    (tmp_path / "made" / "link").symlink_to("/etc/passwd")
    await store.save("wf/made", tmp_path / "made")
    await put(store, tmp_path, wf__one="1")
    await put(store, tmp_path, wf__one="2")
    await store.load("wf/one", tmp_path / "one")
    await store.load("wf/made", tmp_path / "back")
    assert (tmp_path / "one").read_text() == "2"
    assert [path.relative_to(tmp_path / "back").as_posix() for path in sorted((tmp_path / "back").rglob("*"))] == ["sub", "sub/f"]
    assert await store.keys("") == ["wf/made/sub/f", "wf/one"]


async def test_keys_are_found_by_their_beginning(store: ArtifactStore, tmp_path: Path) -> None:
    await put(store, tmp_path, a__b__c="", a__bc="", b="", ab="")
    assert await store.keys("a/b") == ["a/b/c", "a/bc"]
    assert await store.keys("a/b/") == ["a/b/c"]
    assert await store.keys("none/") == []


async def test_deleted_keys_are_gone_with_all_below_and_deleting_again_is_harmless(store: ArtifactStore, tmp_path: Path) -> None:
    await put(store, tmp_path, a__b__c="", a__b__d="", a__bc="")
    for _ in range(2):
        await store.delete("a/b")
    assert await store.keys("") == ["a/bc"]
    await store.delete("a/bc")
    with pytest.raises(MissingArtifact, match="no artifact is stored under the key 'a/bc'"):
        await store.load("a/bc", tmp_path / "x")


@pytest.mark.parametrize(
    "key", ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/./b", "a\0b", "a\nb", "a\\..\\b", "C:/x", "x" * 1025, "\x1b[2J"]
)
async def test_keys_that_could_leave_the_store_are_refused(store: ArtifactStore, tmp_path: Path, key: str) -> None:
    (tmp_path / "f").touch()
    for wrong in (store.save(key, tmp_path / "f"), store.load(key, tmp_path / "x"), store.delete(key)):
        with pytest.raises(ArtifactError):
            await wrong


async def test_no_link_in_the_folder_is_followed(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "store")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    await put(store, tmp_path, a="1")
    (tmp_path / "store" / "way").symlink_to(tmp_path / "outside")
    for wrong in (
        store.save("way/new", tmp_path / "source"),
        store.load("way/secret", tmp_path / "x"),
        store.delete("way/secret"),
        store.keys("way/"),
    ):
        with pytest.raises(ArtifactError, match="symbolic link"):
            await wrong
    assert await store.keys("") == ["a"]
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


async def test_a_file_cannot_be_a_folder_of_another(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "store")
    await put(store, tmp_path, a="1")
    with pytest.raises(ArtifactError, match="could not be stored"):
        await store.save("a/b", tmp_path / "source")


@given(key=st.text(st.sampled_from("ab./\\:\0 ü%"), max_size=14))
def test_a_keys_path_lies_below_the_store(key: str) -> None:
    root = Path("/store")
    try:
        place = root.joinpath(*parts_of_key(key))
    except ArtifactError:
        return
    assert root in Path(str(place)).resolve().parents


@settings(max_examples=30, deadline=None)
@given(
    files=st.dictionaries(
        st.lists(st.sampled_from(["a", "b.c", "ü", " "]), min_size=1, max_size=3).map("/".join), st.binary(max_size=50), max_size=5
    )
)
def test_folder_and_memory_agree(files: dict[str, bytes]) -> None:
    """The same keys are there, whatever was refused for lying below a file."""

    async def play() -> None:
        with tempfile.TemporaryDirectory() as place:
            on_disk, in_memory = FolderArtifacts(Path(place, "store")), MemoryArtifacts()
            for key, content in files.items():
                Path(place, "f").write_bytes(content)
                try:
                    await on_disk.save(key, Path(place, "f"))
                except ArtifactError:
                    continue
                await in_memory.save(key, Path(place, "f"))
            assert await on_disk.keys("") == await in_memory.keys("")

    anyio.run(play)

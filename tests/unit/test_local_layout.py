"""What a container's view shows where, over a made-up machine: no mount is made here."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.errors import ExecutorError
from flowcore_backends.local.layout import Kind, Layout, Mount, Step

FOLDERS = {"/", "/etc", "/home", "/home/ann", "/home/ann/src", "/proc", "/tmp", "/usr", "/usr/bin", "/var", "/var/lib", "/run"}
FILES = {"/etc/hosts", "/home/ann/notes", "/usr/bin/sh", "/tmp/hidden"}
LINKS = {"/bin": "usr/bin", "/var/run": "/run"}


class Imagined:
    """A machine of a few folders."""

    def kind(self, path: str) -> Kind | None:
        path = self.resolve(path)
        return "folder" if path in FOLDERS else "file" if path in FILES else None

    def entries(self, path: str) -> Mapping[str, Kind]:
        every: dict[str, Kind] = {
            **dict.fromkeys(FOLDERS - {"/"}, "folder"),
            **dict.fromkeys(FILES, "file"),
            **dict.fromkeys(LINKS, "link"),
        }
        return {posixpath.basename(name): kind for name, kind in every.items() if posixpath.dirname(name) == path}

    def resolve(self, path: str) -> str:
        for link, target in LINKS.items():
            if path == link or path.startswith(link + "/"):
                return posixpath.join("/", target) + path.removeprefix(link)
        return path

    def link(self, path: str) -> str:
        return LINKS[path]


def draw(tmp_path: Path, *mounts: Mount, outputs: tuple[str, ...] = (), folders: tuple[str, ...] = ()) -> list[Step]:
    steps = Layout(Imagined(), tmp_path / "over", mounts=mounts, outputs=outputs, folders=folders).draw()
    return [[word.replace(str(tmp_path / "over"), "OVER") for word in step] for step in steps]


def after_root(tmp_path: Path, *mounts: Mount, **more: tuple[str, ...]) -> list[Step]:
    """The steps beyond those that every view begins with."""
    begin = draw(tmp_path)
    return [step for step in draw(tmp_path, *mounts, **more) if step not in begin]


def test_every_view_shows_the_machine_with_a_tmp_of_its_own(tmp_path: Path) -> None:
    steps = draw(tmp_path)
    assert ["bind", "/usr", "/usr"] in steps
    assert ["link", "usr/bin", "/bin"] in steps
    assert ["proc", "/proc"] in steps
    assert steps[-1] == ["folder", "/tmp", "1777"]
    assert not [step for step in steps if "/tmp/hidden" in step]


def test_a_mount_over_a_folder_of_the_machine_needs_nothing_else(tmp_path: Path) -> None:
    assert after_root(tmp_path, Mount("/src", "/home/ann")) == [["bind", "/src", "/home/ann"]]


def test_missing_folders_are_made_in_the_root_which_is_ours(tmp_path: Path) -> None:
    assert after_root(tmp_path, Mount("/src", "/mnt/a/b", read_only=True)) == [
        ["folder", "/mnt", "755"],
        ["folder", "/mnt/a", "755"],
        ["folder", "/mnt/a/b", "755"],
        ["bind_read_only", "/src", "/mnt/a/b"],
    ]


def test_where_the_machine_lacks_a_folder_a_folder_of_ours_covers_the_one_above(tmp_path: Path) -> None:
    steps = after_root(tmp_path, Mount("/file", "/var/lib/new/f", folder=False))
    assert steps[0][0] == "bind"
    assert steps[0][1].startswith("OVER/")
    assert steps[0][2] == "/var/lib"
    assert steps[1:] == [["folder", "/var/lib/new", "755"], ["file", "/var/lib/new/f"], ["bind", "/file", "/var/lib/new/f"]]


def test_an_output_hides_the_machines_file_of_that_name_and_keeps_its_neighbours(tmp_path: Path) -> None:
    steps = after_root(tmp_path, outputs=("/home/ann/notes",))
    assert [step[2] for step in steps if step[0] == "bind"] == ["/home/ann", "/home/ann/src"]
    assert not [step for step in steps if step[-1] == "/home/ann/notes"]


def test_an_output_that_is_a_folder_of_the_machine_begins_empty(tmp_path: Path) -> None:
    steps = after_root(tmp_path, outputs=("/home",))
    assert ["folder", "/home", "755"] in draw(tmp_path, outputs=("/home",))
    assert ["bind", "/home", "/home"] not in draw(tmp_path, outputs=("/home",))
    assert steps == []


@pytest.mark.parametrize("path", ["/usr", "/etc", "/tmp"])
def test_folders_of_the_system_stay_although_they_are_outputs(tmp_path: Path, path: str) -> None:
    assert draw(tmp_path, outputs=(path,)) == draw(tmp_path)


def test_links_of_the_machine_are_followed_before_anything_is_made(tmp_path: Path) -> None:
    steps = after_root(tmp_path, outputs=("/var/run/new/f",))
    assert (steps[0][2], steps[1:]) == ("/run", [["folder", "/run/new", "755"]])


def test_mounts_below_mounts_come_later(tmp_path: Path) -> None:
    steps = after_root(tmp_path, Mount("/inner", "/data/x/y"), Mount("/outer", "/data"))
    assert [step for step in steps if step[0] == "bind"] == [["bind", "/outer", "/data"], ["bind", "/inner", "/data/x/y"]]
    assert steps.index(["folder", "/data/x", "755"]) > steps.index(["bind", "/outer", "/data"])


def test_a_volume_can_be_tmp(tmp_path: Path) -> None:
    assert after_root(tmp_path, Mount("/home/ann", "/tmp"), outputs=("/tmp/out",)) == [["bind", "/home/ann", "/tmp"]]


@pytest.mark.parametrize("path", ["/proc/1/x", "/dev/x", "/sys/x", "/", "//"])
def test_what_is_the_kernels_or_the_root_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ExecutorError):
        draw(tmp_path, Mount("/v", path))


def test_a_file_that_stands_in_the_way_is_named(tmp_path: Path) -> None:
    for declared in ({"outputs": ("/home/ann/notes/out",)}, {"folders": ("/home/ann/notes/deep/er",)}, {"folders": ("/home/ann/notes",)}):
        with pytest.raises(ExecutorError, match="/home/ann/notes is a file; declare another path"):
            draw(tmp_path, **declared)


class Crowded(Imagined):
    def entries(self, path: str) -> Mapping[str, Kind]:
        return {f"f{number}": "file" for number in range(5000)} if path == "/home/ann" else super().entries(path)


def test_a_crowded_folder_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="more than 4096 entries"):
        Layout(Crowded(), tmp_path, outputs=["/home/ann/x"]).draw()


PATHS = st.lists(st.sampled_from(["home", "ann", "src", "notes", "tmp", "data", "var", "lib", "new"]), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@settings(max_examples=200, deadline=None)
@given(mounts=st.lists(PATHS, max_size=3, unique=True), outputs=st.lists(PATHS, max_size=3), folders=st.lists(PATHS, max_size=1))
def test_nothing_is_ever_made_in_a_folder_of_the_machine(
    tmp_path_factory: pytest.TempPathFactory, mounts: list[str], outputs: list[str], folders: list[str]
) -> None:
    """Carried out in a pretended file system, each step finds its parent, and creates only in folders that are ours."""
    tmp_path = tmp_path_factory.getbasetemp() / "imagined"
    layout = Layout(Imagined(), tmp_path, mounts=[Mount(f"/mounted{path}", path) for path in mounts], outputs=outputs, folders=folders)
    try:
        steps = layout.draw()
    except ExecutorError as error:
        assert any(path.startswith(f"{file}/") or path == file for path in [*mounts, *outputs, *folders] for file in FILES)
        assert "is a file; declare another path" in str(error)
        return
    shown: dict[str, str] = {"/": "ours"}

    def owner(path: str) -> str:
        while path not in shown:
            path = posixpath.dirname(path)
        return shown[path]

    for step in steps:
        kind, path = step[0], step[1] if step[0] in ("folder", "file", "proc") else step[2]
        if kind in ("folder", "file", "link"):
            assert owner(posixpath.dirname(path)) != "machine", step
            shown[path] = owner(posixpath.dirname(path))
        elif kind == "bind":
            for below in [below for below in shown if below.startswith(path + "/")]:
                assert path not in mounts or below == "never", (step, below)
            shown[path] = "machine" if step[1] == path else "ours"
    for path in outputs:
        if path not in ("/home", "/var", "/tmp") and path not in FOLDERS:
            assert owner(posixpath.dirname(path)) == "ours"
    for path in mounts:
        assert ["bind", f"/mounted{path}", path] in steps

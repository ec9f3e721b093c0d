"""Where a model or data set comes from: a catalogue name, a path, or a Hub id, made local."""

import difflib
import hashlib
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from workbench.core import assets, paths
from workbench.core.errors import DataError, IntegrityError, MachineError, ParameterError

Kind = Literal["model", "dataset"]
HUB = "hf:"
MAX_FILES = 10_000
"""Files and folders that the folder of a model or data set may hold."""
HUB_FILES = {
    # Weights as safetensors only: other formats can carry code.
    "model": ["*.json", "*.txt", "*.safetensors", "*.model", "*.jinja"],
    # No README.md: its front matter must not choose what is read.
    "dataset": [
        *("*.parquet", "*.jsonl", "*.json", "*.csv", "*.csv.gz", "*.tsv", "*.txt"),
        *("*.conll", "*.conllu", "*.iob", "*.iob2", "*.bio"),
        # such as eng.train, eng.testa and eng.testb
        *("*.train", "*.training", "*.dev", "*.devel", "*.development", "*.val", "*.valid"),
        *("*.validation", "*.test", "*.testing", "*.testa", "*.testb"),
    ],
}


@dataclass(frozen=True)
class Source:
    """A model or data set on this machine."""

    name: str
    """As the user wrote it; a Hub id is completed with its commit."""
    path: Path
    """Local directory, or the one file of a data set."""
    fingerprint: str
    """sha256 over the content, or the commit of a Hub repository."""
    about: str
    license: str = "as its owner says"
    terms: str = ""

    def describe(self) -> str:
        """Name, what it is, licence and terms, in two lines."""
        terms = f"; {self.terms}" if self.terms else ""
        return f"{self.name}: {self.about}\nlicence: {self.license}{terms}"

    def record(self) -> dict[str, str]:
        """What a result keeps of it: everything but the place on this machine."""
        kept = ("name", "fingerprint", "about", "license", "terms")
        return {key: getattr(self, key) for key in kept}


def resolve(name: str, kind: Kind) -> Source:
    """Find what `name` means and make it local: fetched, verified, or downloaded.

    Relative paths are looked for in the order of `paths.places`. Raises ParameterError for an
    unknown name, DataError for an empty folder of data or one that links to files outside it,
    IntegrityError for a damaged file, MachineError when something can't be downloaded.
    """
    if name.startswith(HUB):
        return _from_hub(name, kind)
    if name in known(kind):
        asset = assets.catalogue().get(name)
        if asset is None:
            source = _from_path(name, paths.FIXTURES / name, "a small fixture of this project")
            return replace(source, license="Apache-2.0, as this project")
        path = assets.ensure(name)
        return Source(name, path, asset.fingerprint, asset.about, asset.license, asset.terms)
    if own := paths.find(name):
        place, path = own
        if kind == "dataset":
            _keep_inside(path)
        return _from_path(name, path, f"the user's own {kind}{place and f', found {place}'}")
    if (other := assets.catalogue().get(name)) and other.kind != kind:
        raise ParameterError(
            f"{name!r} is a {other.kind}, where a {kind} is meant",
            expected=f"one of {', '.join(known(kind))}; a path; or hf:<owner>/<name>",
        )
    near = difflib.get_close_matches(name, known(kind), n=1)
    looked = "; ".join(f"{place}: {folder}" for place, folder in paths.places().items())
    raise ParameterError(
        f"unknown {kind} {name[:200]!r}: no such name in the catalogue, and no such file or folder"
        + ("" if Path(name).is_absolute() else f" ({looked})"),
        expected=f"one of {', '.join(known(kind))}; a path; or hf:<owner>/<name>",
        do=f"did you mean {near[0]!r}?" if near else "",
    )


def known(kind: Kind) -> list[str]:
    """Catalogue names of that kind, the project's own fixtures among them."""
    names = [asset.name for asset in assets.catalogue().values() if asset.kind == kind]
    if kind == "dataset":
        names += sorted(folder.name for folder in paths.FIXTURES.iterdir() if folder.is_dir())
    return names


def files(path: Path) -> list[Path]:
    """All files of a folder but hidden ones and reports, in order; of a file, itself.

    A fingerprint is of these, and nothing else may be read: a README's front matter names no more,
    and links to folders are not followed. DataError for more than 10,000.
    """
    if not path.is_dir():
        return [path]
    # Hidden files and folders are some program's own, such as the Hub's notes of a download; the
    # reports, where they lie in the folder, change with every run.
    reports = paths.reports()
    inner = (
        file
        for file in path.rglob("*")
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
        and (path.is_relative_to(reports) or not file.is_relative_to(reports))
    )
    found = sorted(islice(inner, MAX_FILES + 1))
    if len(found) > MAX_FILES:  # a home or the whole disk, which would be read for hours
        raise DataError(
            f"{path} holds more than {MAX_FILES:,} files",
            expected="the folder of one model or data set",
        )
    return [file for file in found if file.is_file()]


def _keep_inside(path: Path) -> None:
    """Refuse a folder of data whose links leave it; a snapshot of the Hub's cache may."""
    blobs = path.parent.parent / "blobs"
    files(path)  # not too many to look at
    for link in filter(Path.is_symlink, path.rglob("*") if path.is_dir() else ()):
        target = link.resolve()
        cached = path.parent.name == "snapshots" and target.is_relative_to(blobs.resolve())
        if not (target.is_relative_to(path) or cached):
            raise DataError(
                f"{link} is a link to {target}, outside the folder",
                expected="a folder that holds its own files",
                do="copy the file into the folder, or name the file itself",
            )


def _from_path(name: str, path: Path, about: str) -> Source:
    found = files(path)
    if not found:
        raise DataError(f"{path} is an empty folder", expected="the files of a model or data set")
    digest = hashlib.sha256()
    for file in found:
        digest.update(f"{file.relative_to(path)} {assets.file_sha256(file)}\n".encode())
    return Source(name, path, digest.hexdigest(), about)


def _from_hub(name: str, kind: Kind) -> Source:
    """Download a repository's usable files at one commit; offline, take them from the cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = name.removeprefix(HUB).partition("@")
    try:
        folder = snapshot_download(
            repository,
            repo_type=kind,
            revision=revision or None,
            allow_patterns=HUB_FILES[kind],
        )
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        first = str(error).strip().splitlines()[0]
        raise ParameterError(
            f"no {kind} {repository!r} on the Hub: {first}",
            expected="hf:<owner>/<name>, or hf:<owner>/<name>@<revision>",
            do="a private or gated repository needs HF_TOKEN",
        ) from None
    except (LocalEntryNotFoundError, EntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise MachineError(
            f"{name} can't be downloaded and is not in the local cache: {error}",
            expected="a connection to the Hub",
            do=f"go online, or use one of {', '.join(known(kind))} or a local path",
        ) from None
    path = Path(folder)
    if not any(path.iterdir()):
        raise IntegrityError(
            f"{name} holds no file this project reads", expected=", ".join(HUB_FILES[kind])
        )
    commit = path.name
    return Source(f"{HUB}{repository}@{commit}", path, commit, f"Hub {kind} {repository}")

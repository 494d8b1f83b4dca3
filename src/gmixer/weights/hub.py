"""The Hugging Face Hub: the names of repositories, the cache shared with timm, fetching and uploading.

huggingface_hub does the networking: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, the progress bar, resumed downloads. This
module adds two things. It reads the cache without the library's imports, which would take a fifth of a cold start. And
it compares each fetched file with the Hub's checksum; the library compares only sizes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gmixer.errors import InputError, WeightsError, words_of

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

_PREFIX = re.compile(r"hf[-_]hub:", re.IGNORECASE)  # timm accepts both spellings, in upper or lower case


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository on the Hub. str() is its name for a user, which `gmixer pull` accepts."""

    id: str  # organization/model
    revision: str | None = None  # branch, tag or commit; None is the main branch
    known_as: str | None = None  # the model's name in the table; None: it is not in the table

    @classmethod
    def parse(cls, name: str) -> Repo | None:
        """`hf-hub:organization/model[@revision]`; None for a name without that prefix. Raises InputError."""
        prefix = _PREFIX.match(name)
        return cls.of(name[prefix.end() :]) if prefix else None

    @classmethod
    def of(cls, repo_id: str) -> Repo:
        """`organization/model[@revision]`. Raises InputError for anything else."""
        name, at, revision = repo_id.partition("@")
        parts = name.split("/")
        sound = len(parts) == 2 and all(re.fullmatch(r"[\w-][\w.-]*", part, re.ASCII) for part in parts)
        if not sound or (at and not re.fullmatch(r"[\w-][\w./-]*", revision, re.ASCII)) or ".." in repo_id:
            raise InputError(f"{repo_id!r} is no repository; wanted hf-hub:organization/model or …/model@revision")
        return cls(name, revision or None)

    def __str__(self) -> str:
        return self.known_as or f"hf-hub:{self.id}" + (f"@{self.revision}" if self.revision else "")


def cached(repo: Repo, filename: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The cached file of the repository's revision, or None. Never uses the network."""
    folder = cache_folder(cache_dir) / ("models--" + repo.id.replace("/", "--"))
    revision = repo.revision or "main"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        commit = revision  # the revision is a commit, which has no ref
    path = folder / "snapshots" / commit / filename
    return path if path.is_file() else None


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """cache_dir, or the user's cache, which HF_HUB_CACHE and HF_HOME set."""
    if cache_dir is None:
        from huggingface_hub.constants import HF_HUB_CACHE  # importing only this module takes 10 ms

        return Path(HF_HUB_CACHE)
    return Path(cache_dir)


def fetch(repo: Repo, filename: str, *, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Fetches the Hub's current file into the cache, and returns its path.

    If the Hub cannot be reached, the cached file is returned. Raises WeightsError, with one sentence.
    """
    from huggingface_hub import hf_hub_download

    folder = cache_folder(cache_dir)
    try:
        path = Path(hf_hub_download(repo.id, filename, revision=repo.revision, cache_dir=folder))
    except Exception as error:  # from the library, its HTTP client or the file system
        raise WeightsError(f"{repo}: {_why_not(error, repo, filename, folder)}") from error
    _compare_checksum(path, repo)
    return path


def upload(folder: Path, repo: Repo, *, private: bool | None, token: str | None, message: str) -> str:
    """Commits the files of the folder to the repository, and returns its address. A missing repository is created.

    private: None is the default of the account. token: None takes HF_TOKEN. Raises WeightsError, with one sentence.
    """
    from huggingface_hub import HfApi, errors

    hub = HfApi(token=token)
    try:
        address = hub.create_repo(repo.id, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repo.id, folder_path=folder, revision=repo.revision, commit_message=message)
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        refused = status in (401, 403)
        way_out = "set HF_TOKEN to a token that may write to it" if refused else "try again in a few minutes"
        words = _status_words(status)
        raise WeightsError(f"{repo}: {hub.endpoint} answered {words}, and nothing was uploaded; {way_out}") from error
    except Exception as error:  # from the library, its HTTP client or the file system
        words = words_of(error, "it gives no reason")
        raise WeightsError(f"{repo}: not uploaded to {hub.endpoint} ({words}); check the connection") from error
    return str(address)


def _compare_checksum(path: Path, repo: Repo) -> None:
    """The cache names a blob by its ETag: SHA-256 for a large file, git's SHA-1 for a small file."""
    import hashlib  # 5 ms with OpenSSL, which a start of the command does not need

    blob = path.resolve()
    hex_digits = len(blob.name) if re.fullmatch(r"[0-9a-f]+", blob.name) else 0
    with open(blob, "rb") as file:
        if hex_digits == 64:
            got = hashlib.file_digest(file, "sha256").hexdigest()
        elif hex_digits == 40:
            head = b"blob %d\0" % os.fstat(file.fileno()).st_size
            got = hashlib.sha1(head + file.read(), usedforsecurity=False).hexdigest()
        else:
            return  # a copy: on a file system without links, the cache does not keep the checksum
    if got != blob.name:
        blob.unlink()
        path.unlink(missing_ok=True)
        raise WeightsError(
            f"{repo}: {path.name} arrived damaged, and was deleted: its checksum is {got[:12]}…, and the Hub's is "
            f"{blob.name[:12]}…; fetch it again: gmixer pull {repo}"
        )


def _why_not(error: BaseException, repo: Repo, filename: str, cache: Path) -> str:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.LocalEntryNotFoundError):  # its cause says why the Hub was not asked
        error = error.__cause__ or error
    hub = constants.ENDPOINT
    match error:
        case errors.OfflineModeIsEnabled():
            return (
                f"{filename} is not on this machine (looked in {cache}), and HF_HUB_OFFLINE forbids fetching; unset "
                f"it and run gmixer pull {repo}, or pass the folder or the .safetensors file that holds it"
            )
        case errors.GatedRepoError():
            return f"access needs the owner's permission: ask at {hub}/{repo.id}, then set HF_TOKEN to your token"
        case errors.RevisionNotFoundError():
            return f"{hub} has no revision {repo.revision!r} of it; correct @{repo.revision}, or leave it out"
        case errors.RepositoryNotFoundError():
            return f"{hub} has no such repository, or a private one; check the name, or set HF_TOKEN to your token"
        case errors.EntryNotFoundError():
            return f"the repository holds no {filename} on {hub}; take another repository or revision"
        case errors.HfHubHTTPError():
            status = error.response.status_code
            ways_out = {401: "set HF_TOKEN to a valid token", 403: "set HF_TOKEN to a token that may read it"}
            way_out = ways_out.get(status, "try again in a few minutes")
            return f"{hub} answered {_status_words(status)} when asked for {filename}; {way_out}"
        case errors.FileMetadataError():
            return f"{hub} does not answer like a Hub; check HF_ENDPOINT and the proxy"
        case OSError(errno=int()):
            return (
                f"{filename} could not be stored: {error.strerror}; the cache is {cache}, set HF_HUB_CACHE to another"
            )
    words = words_of(error, "it gives no reason")
    return f"{filename} could not be fetched from {hub} ({words}); check the connection and try again"


def _status_words(status: int) -> str:
    from http import HTTPStatus  # 2 ms, which a start of the command does not need

    return f"{status} {HTTPStatus(status).phrase}"

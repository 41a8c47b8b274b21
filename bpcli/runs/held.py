"""Writing files so that a crash at any moment leaves either the old or the new one, whole, and in the right folder.

What bpcli writes to a run goes through `HeldFolder`, and what it writes elsewhere through `write_atomically`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO

from bpcli.errors import DiskError, RunError, RunInUseError
from bpcli.runs.files import AT_ONCE, BINARY, disk_errors, flush, not_a_file, replace, void
from bpcli.text import typed

Notify = Callable[[str], None]
Write = Callable[[IO[bytes]], None]

# Whether a folder can be held by a descriptor, and files be named from there; not so on Windows.
_BY_DESCRIPTOR = {os.open, os.stat, os.rename, os.unlink, os.mkdir} <= os.supports_dir_fd
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | BINARY
_FOLDER = getattr(os, "O_DIRECTORY", 0)
# What a file system answers that has no such operation.
UNSUPPORTED = frozenset(
    number
    for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK")
    if (number := getattr(errno, name, None)) is not None
)
_TEMPORARY = re.compile(r"\.(config\.yaml|loss\.csv|summary\.json|best\.npz|last\.npz)\.[0-9a-f]{16}\.tmp")


def _silent(_: str) -> None:
    """Where nobody is to be told."""


class HeldFolder:
    """A folder held by its descriptor: what is written through it lands in it, even if its path leads elsewhere by now.

    Paths start with `path` and may lead into folders of the folder. No symbolic link in it is followed. On Windows,
    which has no such descriptors, everything is reached by its path.

    only_lock: a lock file and its descriptor, which has to stay where it is; is_locked: whether there is any lock, see
    `bpcli.runs.lock`.
    """

    def __init__(self, path: Path, descriptor: int | None, notify: Notify = _silent) -> None:
        self.path, self.descriptor, self.notify = path, descriptor, notify
        self.absolute = Path(os.path.abspath(path))  # the current folder may be another one later
        self.only_lock: tuple[Path, int] | None = None
        self.is_locked = False

    @classmethod
    @contextmanager
    def opened(cls, path: Path, notify: Notify = _silent, *, to: str | None = None) -> Iterator[HeldFolder]:
        """Holds the folder at `path`.

        notify: called with a warning, once, where the file system lacks a guarantee. to: what is done, for an error.

        Raises:
            DiskError: there is none, or it cannot be opened.
        """
        told = set[str]()

        def notify_once(text: str) -> None:
            if text not in told:
                told.add(text)
                notify(text)

        with disk_errors(f"cannot {to or f'write in {path}'}"):
            descriptor = os.open(path, os.O_RDONLY | _FOLDER) if _BY_DESCRIPTOR else None
            folder = cls(path, descriptor, notify_once)
        try:
            yield folder
        finally:
            folder._close()

    def _close(self) -> None:
        if self.descriptor is not None:
            with suppress(OSError):  # it was only read
                os.close(self.descriptor)

    # what is written

    def write(self, path: Path, write: Write, *, like: Path | None = None) -> None:
        """Replaces `path`: a temporary file beside it is written, flushed to the disk, and renamed over it.

        The new file has the permissions of the old one, or of `like`, a file beside it.

        Raises:
            DiskError: nothing was replaced, or the replacement may not survive a power cut.
        """
        with self._writing(path) as folder:
            folder._replace(path.name, write, (like or path).name)

    def _replace(self, name: str, write: Write, like: str) -> None:
        status = self._status(like)
        mode = stat.S_IMODE(status.st_mode) & 0o777 if status is not None and stat.S_ISREG(status.st_mode) else None
        temporary = temporary_name(name)
        descriptor = self._open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if mode is not None and hasattr(os, "fchmod"):
                    with suppress(PermissionError):  # a file system without permissions
                        os.fchmod(file.fileno(), mode)
                write(file)
                file.flush()
                flush(file.fileno())
            self._rename(temporary, name)
        except BaseException:
            with suppress(FileNotFoundError):
                self._remove(temporary)
            raise
        self._sync()

    def write_text(self, path: Path, text: str) -> None:
        """Replaces `path` with UTF-8 text, as `write`."""
        self.write(path, lambda file: void(file.write(text.encode())))

    def create(self, path: Path, content: bytes) -> None:
        """Makes a file that is not there yet.

        Raises:
            DiskError: it is there already, if only as a link, or cannot be written.
        """
        with self._writing(path) as folder:
            descriptor = folder._open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
            except BaseException:
                folder._remove(path.name)
                raise

    def append(self, path: Path, content: bytes, *, sync: bool = False) -> None:
        """Adds to the end of a file; `sync` has it on the disk before this returns.

        Raises:
            DiskError: it is missing, no regular file, or cannot be written.
        """
        with self._writing(path) as folder:
            folder._check_regular(path)
            with os.fdopen(folder._open(path.name, os.O_WRONLY | os.O_APPEND | AT_ONCE), "ab") as file:
                file.write(content)
                file.flush()
                if sync:
                    flush(file.fileno())

    def rename(self, path: Path, new: Path) -> None:
        """Renames a file beside itself, over one that may be there.

        Raises:
            DiskError: it cannot be done.
        """
        with self._writing(path, "rename") as folder:
            folder._rename(path.name, new.name)

    def remove(self, path: Path) -> None:
        """Removes a file.

        Raises:
            DiskError: it cannot be done.
        """
        with self._writing(path, "remove") as folder:
            folder._remove(path.name)

    def put_aside(self, path: Path, name: str) -> Path:
        """Renames a file or folder to the first free `name` beside it, whose {} is 1, 2, ...; gives its new path.

        Raises:
            DiskError: it cannot be done.
        """
        aside = self.free_path(path, name)
        with self._writing(path, "rename") as folder:
            folder._rename(path.name, aside.name)
            folder._sync()
        return aside

    def free_path(self, path: Path, name: str) -> Path:
        """The first `name` beside `path` that is not taken, whose {} is 1, 2, ..."""
        return next(free for number in count(1) if not self.has(free := path.with_name(name.format(number))))

    def make_folder(self, path: Path) -> None:
        """Makes a folder in this one, its entry written to the disk; one that is there already will do, a link not.

        Raises:
            DiskError: it cannot be made. RunError: there is a symbolic link in its place.
        """
        with self._writing(path, "make") as folder:
            if folder._status(path.name) is None:
                os.mkdir(folder._at(path.name), dir_fd=folder.descriptor)
                folder._sync()
            folder._inside(path.name)._close()

    def clear_leftovers(self, folder: Path) -> None:
        """Removes the temporary files of killed processes; `folder` is this one or one in it.

        Raises:
            DiskError: one cannot be removed.
        """
        with self._writing(folder / "any", "clear") as inside:
            for name in os.listdir(inside.path if inside.descriptor is None else inside.descriptor):  # noqa: PTH208
                status = inside._status(name) if _TEMPORARY.fullmatch(name) else None
                if status is not None and stat.S_ISREG(status.st_mode):
                    inside._remove(name)

    def open_to_lock(self, path: Path) -> int:
        """The descriptor of a file that is made if it is missing; it has to be closed.

        Raises:
            DiskError: it is no regular file, or cannot be opened for writing.
        """
        with self._writing(path) as folder:
            folder._check_regular(path)
            return folder._open(path.name, os.O_RDWR | os.O_CREAT | AT_ONCE)

    # what is there

    def has(self, path: Path) -> bool:
        """Whether there is anything at `path`, if only a link that leads nowhere."""
        with self._writing(path, "look at") as folder:
            return folder._status(path.name) is not None

    def check(self) -> None:
        """Looks whether this is still the folder at its path, and nobody else may write in it.

        Raises:
            DiskError: it was removed, or its path leads elsewhere. RunInUseError: its only lock is gone.
        """
        self.check_lock()
        with disk_errors(f"cannot look at {self.path}"):
            moved = not self._is_at_its_path()
        if moved:
            raise DiskError(self._moved_text())

    def check_lock(self) -> None:
        """As `check`, but the folder may lie elsewhere: what is written lands in it all the same.

        Raises:
            DiskError: it was removed. RunInUseError: its only lock is gone.
        """
        if self._is_removed():
            raise DiskError(self._moved_text())
        if self.only_lock is not None:
            path, descriptor = self.only_lock
            with disk_errors(f"cannot look at {path}"):
                status = self._status(path.name)
                gone = status is None or not os.path.samestat(status, os.fstat(descriptor))
            if gone:
                raise RunInUseError(
                    f"{path}: was removed or replaced, so that another process may be training in this run folder; "
                    f"stopped without writing to it. Once no other process is: bpcli resume {typed(self.path)}"
                )

    def _is_at_its_path(self) -> bool:
        if self.descriptor is None:
            return True
        try:
            return os.path.samestat(self.absolute.stat(), os.fstat(self.descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _is_removed(self) -> bool:
        if self.descriptor is None:
            return False
        try:
            return os.fstat(self.descriptor).st_nlink == 0
        except OSError as error:
            return error.errno == errno.ESTALE  # a network's folder that another machine removed

    def _moved_text(self) -> str:
        if self._is_removed():
            return f"{self.path}: this folder was removed while it was in use; stopped, there is nowhere to save to"
        try:
            place = str(Path(f"/proc/self/fd/{self.descriptor}").readlink())
        except OSError:
            place = ""
        where = f"it is now {place}" if place else "it has another name now"
        go_on = f"bpcli resume {typed(place or 'FOLDER')}"
        return (
            f"{self.path}: this folder was renamed or replaced while it was in use: {where}. Stopped; the state is "
            f"saved there, and nothing was written to what {self.path} is now. Go on with: {go_on}"
        )

    # how it is done

    @contextmanager
    def _writing(self, path: Path, what: str = "write") -> Iterator[HeldFolder]:
        """The folder that `path` lies in: this one, or one in it. Errors name the path, or say that all is gone."""
        try:
            with disk_errors(f"cannot {what} {path}"), ExitStack() as stack:
                folder = self
                for name in path.relative_to(self.path).parts[:-1]:
                    folder = folder._inside(name)
                    stack.callback(folder._close)
                yield folder
        except DiskError as error:
            if self._is_removed():
                raise DiskError(self._moved_text()) from error
            raise

    def _inside(self, name: str) -> HeldFolder:
        """A folder in this one; it has to be closed."""
        path, status = self.path / name, self._status(name)
        if status is not None and stat.S_ISLNK(status.st_mode):
            raise RunError(
                f"{path}: is a symbolic link, which bpcli does not write through; put a folder in its place, "
                "or move the whole run to where the link leads"
            )
        descriptor = self._open(name, os.O_RDONLY | _FOLDER) if self.descriptor is not None else None
        return HeldFolder(path, descriptor, self.notify)

    def _at(self, name: str) -> str:
        """The name as `os` takes it beside `dir_fd`."""
        return name if self.descriptor is not None else str(self.path / name)

    def _open(self, name: str, flags: int, mode: int = 0o666) -> int:
        return os.open(self._at(name), flags | _NO_LINKS, mode, dir_fd=self.descriptor)

    def _status(self, name: str) -> os.stat_result | None:
        """None for what is not there; of a link its own."""
        try:
            return os.stat(self._at(name), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _check_regular(self, path: Path) -> None:
        status = self._status(path.name)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise DiskError(f"cannot write {path}: {not_a_file(status)}; move it away, then resume the run")

    def _rename(self, name: str, new: str) -> None:
        replace(self._at(name), self._at(new), folder=self.descriptor)

    def _remove(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self.descriptor)

    def _sync(self) -> None:
        """Has the folder's entries, a rename among them, written to the disk."""
        if self.descriptor is None:  # Windows cannot open folders; its renames are journalled
            return
        try:
            flush(self.descriptor)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            self.notify(
                f"warning: {self.path}: the file system cannot flush a folder to the disk ({error.strerror}). "
                "Going on without: a power cut may take back the last files that were written here"
            )


def temporary_name(name: str) -> str:
    """A name for a temporary file that nobody can guess, and no longer than a file system takes."""
    return f".{name[:40]}.{os.urandom(8).hex()}.tmp"


def write_atomically(path: Path, write: Write, notify: Notify = _silent) -> None:
    """Replaces `path`, whatever folder it lies in, as `HeldFolder.write`.

    Raises:
        DiskError: nothing was replaced, or the replacement may not survive a power cut.
    """
    with HeldFolder.opened(path.parent, notify, to=f"write {path}") as folder:
        folder.write(path, write)


def write_text(path: Path, text: str, notify: Notify = _silent) -> None:
    """Replaces `path` with UTF-8 text, as `write_atomically`."""
    write_atomically(path, lambda file: void(file.write(text.encode())), notify)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, each entry written to the disk; one that is there already will do."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Has the folder's entries written to the disk, where the file system can."""
    with HeldFolder.opened(folder, to=f"flush {folder}") as held:
        held._sync()

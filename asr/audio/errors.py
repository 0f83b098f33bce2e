"""What can be wrong with sound."""

import errno


class AudioError(ValueError):
    """An input that holds no usable sound; the message is one line, naming the problem and the mend."""


def unreadable(error: OSError) -> AudioError:
    """What is wrong with a recording that can't be read, or with where it is kept meanwhile."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "temporary directory" in str(error.strerror):
        return AudioError(f"no room for a copy of it ({error.strerror}): make some, or set TMPDIR to another folder")
    if isinstance(error, FileNotFoundError):
        return AudioError("no such file: check its name")
    return AudioError(f"can't be read ({error.strerror}): check its name and permissions")


def problem_of(error: Exception) -> str:
    """What is wrong with a recording, in a line; a fault of ours shall not cost the other recordings."""
    if isinstance(error, AudioError):
        return str(error)
    described = " ".join(f"{type(error).__name__}: {error}".split())
    return f"a fault of nicebeach ({described}): please report it"

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

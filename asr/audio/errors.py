"""What can be wrong with sound."""


class AudioError(ValueError):
    """An input that holds no usable sound; the message is one line, naming the problem and the mend."""

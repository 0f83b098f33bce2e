"""Are a recording's two channels the two sides of a call, which nobody should mix?

In a call each side speaks while the other is silent. Two channels of one sound may differ in level, sign, noise and a
little in time, but they grow loud and quiet together; and in music, wide as it may be, one side seldom stops.
"""

from array import array

import numpy as np

MOMENTS = 10  # a second, whose loudness is taken
TOP = 99  # percentile of a channel's moments that tells how loud it is
APART = 10.0  # dB by which one side is louder than the other, each by its own measure, where it speaks alone
HEARD = 20.0  # dB below the top at which nobody may be speaking any more
DISTANT = 40.0  # dB between two channels, of which the one holds nothing then but what leaks into it
# Each side must speak alone for a second, in all, and in such a share of all moments in which somebody speaks; and the
# two together, in such.
EACH, TOGETHER = 0.05, 0.5
FLOOR = 1e-10  # of a power, -100 dB: digital silence


class Sides:
    """Listens to blocks of two channels, then says what they are."""

    def __init__(self) -> None:
        self._rest = np.zeros((0, 2), np.float32)  # less than a moment
        self._powers = array("f")  # of the moments of both, by turns: 80 bytes a second

    def hear(self, samples: np.ndarray, rate: int) -> None:
        """Take [n, channels]; of other than two channels nothing is kept."""
        if samples.shape[1] != 2:
            return
        sound = np.concatenate([self._rest, samples], dtype=np.float32)
        size = rate // MOMENTS
        count = len(sound) // size
        self._powers.frombytes(sound[: count * size].reshape(count, size, 2).var(axis=1).tobytes())
        self._rest = sound[count * size :]

    def differ(self) -> bool:
        """Whether, by what was heard, each side is mostly silent while the other speaks."""
        levels = 10 * np.log10(np.array(self._powers).reshape(-1, 2) + FLOOR)
        if not len(levels):
            return False
        tops = np.percentile(levels, TOP, axis=0)
        levels -= tops
        heard = levels.max(axis=1) > -HEARD
        difference = (levels[:, 0] - levels[:, 1])[heard]
        left, right = int((difference > APART).sum()), int((difference < -APART).sum())
        enough = min(left, right) >= max(MOMENTS, EACH * len(difference))
        return bool(enough and left + right >= TOGETHER * len(difference) and abs(tops[0] - tops[1]) <= DISTANT)

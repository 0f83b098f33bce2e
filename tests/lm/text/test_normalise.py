from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.text.normalise import MAX_WORDS, WORD, normalize, normalize_history, sentences

READINGS = """
Mr. and Mrs. Bell met Dr Watson. | MISTER AND MISSUS BELL MET DOCTOR WATSON
“’Tis seven o’clock,” he said—‘the dogs’ dinner!’ | TIS SEVEN O'CLOCK HE SAID THE DOGS DINNER
To-day is mid-winter -- isn't it? | TO DAY IS MID WINTER ISN'T IT
I 'll go, you do n't. | I'LL GO YOU DON'T
Cæsar’s café, _naïve_ | CAESAR'S CAFE NAIVE
J. R. Smith, Esq., of the U.S. at 5 P.M. | J R SMITH ESQUIRE OF THE U S AT FIVE P M
St. John lives in Baker St., so does Mr. B.'s son | SAINT JOHN LIVES IN BAKER STREET SO DOES MISTER B'S SON
M. Thiers, i.e. the other, etc. | MONSIEUR THIERS THAT IS THE OTHER ET CETERA
No. 5 of vol. ii, chap. xiv | NUMBER FIVE OF VOLUME TWO CHAPTER FOURTEEN
he said no. I did | HE SAID NO I DID
McDonald & Co. | MC DONALD AND COMPANY
CHAPTER XIV. Henry VIII and Charles I. | CHAPTER FOURTEEN HENRY THE EIGHTH AND CHARLES THE FIRST
James V. Scott met James V of Scotland | JAMES V SCOTT MET JAMES THE FIFTH OF SCOTLAND
the part I like best; as Henry I ran | THE PART I LIKE BEST AS HENRY I RAN
in 1863, 1704, 1900 and 2001 | IN EIGHTEEN SIXTY THREE SEVENTEEN O FOUR NINETEEN HUNDRED AND TWO THOUSAND AND ONE
July 3d came; on July 22d, 1871, the 2d. He | JULY THIRD CAME ON JULY TWENTY SECOND EIGHTEEN SEVENTY ONE THE SECOND HE
the 23d Regiment, 6d a day, 3d. a pound, 12d. | THE TWENTY THIRD REGIMENT SIXPENCE A DAY THREEPENCE A POUND TWELVE PENCE
May 3rd, May 3 and 3 May | MAY THIRD MAY THIRD AND THREE MAY
THE 21ST OF MAY | THE TWENTY FIRST OF MAY
£1 1s., £2.50, $0.05 | ONE POUND ONE SHILLING TWO POUNDS AND FIFTY PENCE FIVE CENTS
Messrs. Fox & Co., Capt. Gray, Col. Lee, Jr. | MESSRS FOX AND COMPANY CAPTAIN GRAY COLONEL LEE JUNIOR
MR. BELL of Mt. Etna, e.g. pp. 5-7, &c. | MISTER BELL OF MOUNT ETNA FOR EXAMPLE PAGES FIVE TO SEVEN ET CETERA
Book IV, Part C, Louis XVI's, act i, XLII, mix | BOOK FOUR PART C LOUIS THE SIXTEENTH'S ACT ONE FORTY TWO MIX
1,863 men | ONE THOUSAND EIGHT HUNDRED AND SIXTY THREE MEN
the 1840s, the '60s, the 21st, the 2d | THE EIGHTEEN FORTIES THE SIXTIES THE TWENTY FIRST THE SECOND
May 1, 1871; 1832-34 | MAY FIRST EIGHTEEN SEVENTY ONE EIGHTEEN THIRTY TWO TO THIRTY FOUR
$5.50, $1, £2.5 million | FIVE DOLLARS AND FIFTY CENTS ONE DOLLAR TWO POINT FIVE MILLION POUNDS
£3 10s. 6d. and L400 | THREE POUNDS TEN SHILLINGS SIXPENCE AND FOUR HUNDRED POUNDS
5% of 3.14 | FIVE PER CENT OF THREE POINT ONE FOUR
2 1/2 miles, 3/4, 1/3 | TWO AND A HALF MILES THREE QUARTERS ONE THIRD
at 7:30, 7:05 and 8:00 | AT SEVEN THIRTY SEVEN O FIVE AND EIGHT O'CLOCK
agent 007, 0.05 | AGENT O O SEVEN ZERO POINT O FIVE
5 ft. 6 in. tall | FIVE FEET SIX INCHES TALL
* * * |
Write to jo.doe@mail.com. | WRITE TO JO DOT DOE AT MAIL DOT COM
See changelog.com/news. It | SEE CHANGELOG DOT COM SLASH NEWS IT
https://www.example.org/a-b/ He left.Me too | EXAMPLE DOT ORG SLASH A DASH B HE LEFT ME TOO
650-961-2975 | SIX FIVE O NINE SIX ONE TWO NINE SEVEN FIVE
(202) 456-1111 | TWO O TWO FOUR FIVE SIX ONE ONE ONE ONE
Rust 1.57.0, v2.1 and 3.14 | RUST ONE POINT FIFTY SEVEN POINT ZERO TWO POINT ONE AND THREE POINT ONE FOUR
5GB, 10 km, 100ms, 60 mph | FIVE GIGABYTES TEN KILOMETERS ONE HUNDRED MILLISECONDS SIXTY MILES PER HOUR
5x faster, 4K, 20k | FIVE TIMES FASTER FOUR K TWENTY THOUSAND
10 x 10 on M Street, 5 M Street | TEN X TEN ON M STREET FIVE M STREET
$5M, $1.5bn | FIVE MILLION DOLLARS ONE POINT FIVE BILLION DOLLARS
$2 trillion and £20k | TWO TRILLION DOLLARS AND TWENTY THOUSAND POUNDS
At 1:30pm or 5 AM I am | AT ONE THIRTY P M OR FIVE A M I AM
the US and us; THEY TOLD US NOW. U.S. law | THE U S AND US THEY TOLD US NOW U S LAW
US I TOLD | US I TOLD
C++ and C# on .NET vs. Go, Java vs C | C PLUS PLUS AND C SHARP ON DOT NET VERSUS GO JAVA VERSUS C
an e-mail, 24/7, on 9/11, #1 | AN EMAIL TWENTY FOUR SEVEN ON NINE ELEVEN NUMBER ONE
@jo, 70+, 2+2, w/ me, w/o | AT JO SEVENTY PLUS TWO PLUS TWO WITH ME WITHOUT
86°F, 20 °C, 90 degrees | EIGHTY SIX DEGREES FAHRENHEIT TWENTY DEGREES CELSIUS NINETY DEGREES
in the 60s. The 1960s. Now 10s. | IN THE SIXTIES THE NINETEEN SIXTIES NOW TEN SHILLINGS
it ' s I ' m they ' ll | IT'S I'M THEY'LL
"""


@pytest.mark.parametrize("line", READINGS.strip().split("\n"))
def test_reads_aloud_as_librispeech_does(line: str) -> None:
    written, _, spoken = line.rpartition("|")
    assert normalize(written) == spoken.split()


@given(st.text())
def test_any_text_becomes_words(text: str) -> None:
    assert all(WORD.fullmatch(word) for word in normalize(text))


def test_reads_very_long_numbers_digit_by_digit() -> None:
    assert normalize(10_000 * "1") == 10_000 * ["ONE"]


@given(st.text("iIvVxX.,'19-$/: asd"))
def test_normalising_twice_changes_nothing(text: str) -> None:
    # Words that are numerals once in upper case ("vi", "ii") are the one exception.
    words = [word for word in normalize(text) if not set(word) <= set("IVX")]
    assert normalize(" ".join(words)) == words


def lines(text: str) -> list[str]:
    return text.split("\n")


@given(st.text() | st.text("aA.?! \"')1\n"))
def test_a_history_has_the_same_words_and_where_sentences_end(text: str) -> None:
    history = normalize_history(text)
    assert [word for word in history if word != "</s>"] == normalize(text)
    assert "</s> </s>" not in " ".join(["</s>", *history])  # an end has words before it


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("How are you? Fine, and", "HOW ARE YOU </s> FINE AND"),
        ("Fine.", "FINE </s>"),
        ("“Fine!” Mr. Bell said", "FINE </s> MISTER BELL SAID"),
        ("“Fine!” said Dr. Watson, and at 7:30 a.m. he", "FINE SAID DOCTOR WATSON AND AT SEVEN THIRTY A M HE"),
        ("... and", "AND"),
    ],
)
def test_a_history_ends_sentences(text: str, words: str) -> None:
    assert normalize_history(text) == words.split()


def test_sentences_cross_lines_but_not_paragraphs() -> None:
    text = 'He met Mr. A. B. Fox\nat 5 p.m. Then 3 left. "What?" said\nhe. . . . "No!"\n\nThe end\n\nXIV.\n'
    assert list(sentences(lines(text))) == [
        "HE MET MISTER A B FOX AT FIVE P M",
        "THEN THREE LEFT",
        "WHAT SAID HE",
        "NO",
        "THE END",
        "FOURTEEN",
    ]


def test_drops_and_counts_what_is_not_english_prose() -> None:
    dropped: Counter[str] = Counter()
    text = (
        "Chapter I ....... 5\nChapter II ...... 9\n\nFox, 12, 37, 158\n\nA long and winding story about foxes, 12\n\n"
        "Produced by Project Gutenberg\n\n"
        "Je ne sais pas que vous dire.\n\n[Illustration: A fox]\n\nReal words [3] stay.[*]"
    )
    assert list(sentences(lines(text), dropped)) == ["REAL WORDS STAY"]
    assert dropped == {"table": 3, "notice": 1, "foreign": 1}


def test_cuts_overlong_sentences_where_their_punctuation_allows() -> None:
    clause = "one two three four five six seven eight nine ten"
    text = "; ".join([clause] * 10) + ", " + " ".join([clause] * 10)
    pieces = [piece.split() for piece in sentences([text])]
    assert [len(piece) for piece in pieces] == [MAX_WORDS, 20, MAX_WORDS, 20]
    assert [word for piece in pieces for word in piece] == normalize(text)

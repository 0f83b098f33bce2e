"""Pronounces words that no dictionary lists: an LSTM from letters to phones, trained on CMUdict with CTC.

Each letter gives the network two output frames, enough for letters of two phones (X -> K S, U -> Y UW), and CTC finds
the alignment; the same recipe as the acoustic model's, on letters instead of sound.
"""

from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
FRAMES_A_LETTER = 2


class LetterToSound(nn.Module):
    """forward(letters [B, L], lengths [B]) -> log-probs [B, 2 L, phones + 1]; class 0 is the CTC blank."""

    def __init__(self, phones: list[str], hidden: int = 128) -> None:
        super().__init__()
        self.phones = phones
        self.embedding = nn.Embedding(len(LETTERS) + 1, 64, padding_idx=0)
        self.lstm = nn.LSTM(64, hidden, num_layers=2, bidirectional=True, batch_first=True, dropout=0.2)
        self.output = nn.Linear(2 * hidden, FRAMES_A_LETTER * (len(phones) + 1))

    def forward(self, letters: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(letters), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        logits: Tensor = self.output(hidden).unflatten(-1, (FRAMES_A_LETTER, -1)).flatten(1, 2)
        return logits.log_softmax(-1)

    @torch.no_grad()
    def pronounce_all(self, words: list[str]) -> list[str]:
        """The best phones of each word, such as "S P IY CH"; a word without letters has none ("")."""
        self.eval()
        result = [""] * len(words)
        encoded = [(index, _encode(word)) for index, word in enumerate(words)]
        spoken = sorted((item for item in encoded if len(item[1])), key=lambda item: len(item[1]))
        for start in range(0, len(spoken), 1024):
            batch = spoken[start : start + 1024]
            lengths = torch.tensor([len(letters) for _, letters in batch])
            best = self(pad_sequence([letters for _, letters in batch], True), lengths).argmax(-1)
            for (index, letters), path in zip(batch, best, strict=True):
                classes = torch.unique_consecutive(path[: FRAMES_A_LETTER * len(letters)]).tolist()
                result[index] = " ".join(self.phones[unit - 1] for unit in classes if unit)
        return result

    def pronounce(self, word: str) -> str:
        """The best phones of one word."""
        return self.pronounce_all([word])[0]

    def save(self, path: Path) -> None:
        """Write the weights, in half precision."""
        save_file({name: weight.half() for name, weight in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: Path, phones: list[str]) -> "LetterToSound":
        """Read what `save` wrote."""
        model = cls(phones)
        try:
            model.load_state_dict({name: weight.float() for name, weight in load_file(path).items()})
        except (SafetensorError, RuntimeError):
            raise ValueError(f"{path}: not a letter-to-sound model; asr train-letter-to-sound makes one") from None
        return model.eval()


def _encode(word: str) -> Tensor:
    return torch.tensor([LETTERS.index(letter) + 1 for letter in word if letter in LETTERS], dtype=torch.long)


def train_letter_to_sound(
    dictionary: dict[str, list[str]], phones: list[str], epochs: int = 8, seed: int = 0
) -> tuple[LetterToSound, float]:
    """Train on a dictionary's first pronunciations.

    Every 20th word is kept out of training. Returns the model and the share of those words whose pronunciation is not
    one of the dictionary's (word error rate, 0..1). Takes about 13 minutes for CMUdict beside other work on two cores.
    """
    torch.manual_seed(seed)
    ids = {phone: index + 1 for index, phone in enumerate(phones)}
    words = sorted(word for word in dictionary if word.strip("'"))
    held_out = words[::20]
    pairs = [
        (_encode(word), torch.tensor([ids[phone] for phone in dictionary[word][0].split()]))
        for index, word in enumerate(words)
        if index % 20
    ]
    # A pronunciation that needs more frames than the letters give (initials: "ABC") can't be learned this way.
    pairs = [pair for pair in pairs if len(pair[1]) + _repeats(pair[1]) <= FRAMES_A_LETTER * len(pair[0])]
    model = LetterToSound(phones)
    batch_size = 256
    steps = epochs * (len(pairs) // batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    model.train()
    for step in track(range(steps), "letter-to-sound", console=Console(stderr=True)):
        if step % (steps // epochs) == 0:
            order = torch.randperm(len(pairs)).tolist()
        start = step % (steps // epochs) * batch_size
        batch = [pairs[index] for index in order[start : start + batch_size]]
        lengths = torch.tensor([len(letters) for letters, _ in batch])
        log_probs = model(pad_sequence([letters for letters, _ in batch], True), lengths)
        loss = nn.functional.ctc_loss(
            log_probs.transpose(0, 1),
            torch.cat([sounds for _, sounds in batch]),
            FRAMES_A_LETTER * lengths,
            torch.tensor([len(sounds) for _, sounds in batch]),
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    wrong = sum(
        guess not in dictionary[word] for word, guess in zip(held_out, model.pronounce_all(held_out), strict=True)
    )
    return model.eval(), wrong / max(1, len(held_out))


def _repeats(sounds: Tensor) -> int:
    return int((sounds[1:] == sounds[:-1]).sum())

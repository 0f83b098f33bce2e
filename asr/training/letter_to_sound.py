"""Trains the model that pronounces words which no dictionary lists (see asr.lexicon.letter_to_sound)."""

import random
from collections import defaultdict

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from asr.lexicon.letter_to_sound import FRAMES_A_LETTER, LAYERS, LETTERS, LetterToSound, encode

BATCH = 256  # words


class LetterToSoundNetwork(nn.Module):
    """forward(letters [B, L]) -> log-probs [B, 2 L, phones + 1]; class 0 is the CTC blank. All words are as long."""

    def __init__(self, phones: int, hidden: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS) + 1, 64, padding_idx=0)
        self.lstm = nn.LSTM(64, hidden, num_layers=LAYERS, bidirectional=True, batch_first=True, dropout=0.2)
        self.output = nn.Linear(2 * hidden, FRAMES_A_LETTER * (phones + 1))

    def forward(self, letters: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(letters))
        logits: Tensor = self.output(hidden).unflatten(-1, (FRAMES_A_LETTER, -1)).flatten(1, 2)
        return logits.log_softmax(-1)


def train_letter_to_sound(
    dictionary: dict[str, list[str]], phones: list[str], epochs: int = 8, seed: int = 0
) -> tuple[LetterToSound, float]:
    """Train on a dictionary's first pronunciations.

    Every 20th word is kept out of training. Returns the model and the share of those words whose pronunciation is not
    one of the dictionary's (word error rate, 0..1). Takes about eight minutes for CMUdict on one core.
    """
    torch.manual_seed(seed)
    ids = {phone: index + 1 for index, phone in enumerate(phones)}
    words = sorted(word for word in dictionary if word.strip("'"))
    held_out = words[::20]
    pairs = [
        (torch.tensor(encode(word)), torch.tensor([ids[phone] for phone in dictionary[word][0].split()]))
        for index, word in enumerate(words)
        if index % 20
    ]
    # A pronunciation that needs more frames than the letters give (initials: "ABC") can't be learned this way.
    pairs = [pair for pair in pairs if len(pair[1]) + _repeats(pair[1]) <= FRAMES_A_LETTER * len(pair[0])]
    network = LetterToSoundNetwork(len(phones))
    order = random.Random(seed)
    batches = [batch for _ in range(epochs) for batch in _batches(pairs, order)]
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=len(batches))
    network.train()
    for batch in track(batches, "letter-to-sound", console=Console(stderr=True)):
        log_probs = network(torch.stack([letters for letters, _ in batch]))
        loss = nn.functional.ctc_loss(
            log_probs.transpose(0, 1),
            torch.cat([sounds for _, sounds in batch]),
            torch.full((len(batch),), log_probs.shape[1]),
            torch.tensor([len(sounds) for _, sounds in batch]),
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model = LetterToSound({name: weight.numpy() for name, weight in network.state_dict().items()}, phones)
    wrong = sum(model.pronounce(word) not in dictionary[word] for word in held_out)
    return model, wrong / max(1, len(held_out))


def _batches(pairs: list[tuple[Tensor, Tensor]], order: random.Random) -> list[list[tuple[Tensor, Tensor]]]:
    """Those of an epoch, in random order. Words of one length need no padding, which takes twice the time."""
    by_length = defaultdict(list)
    for pair in order.sample(pairs, len(pairs)):
        by_length[len(pair[0])].append(pair)
    batches = [alike[start : start + BATCH] for alike in by_length.values() for start in range(0, len(alike), BATCH)]
    order.shuffle(batches)
    return batches


def _repeats(sounds: Tensor) -> int:
    return int((sounds[1:] == sounds[:-1]).sum())

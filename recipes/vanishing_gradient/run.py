"""Why LSTM: how much of the gradient reaches how far back, and how long recurrent networks can remember.

Every network reads one symbol a step and foretells the next one. Its `state` is all that it hands on to its next step:
h, or h and c of an LSTM. Through it alone can a loss at step t teach the network what to keep at step t - k, and so

    ||d loss_t / d state_{t-k}||,   k = 1, 2, … 100

says how well it can learn from what was k steps ago. What vanishes there is never learned (Hochreiter 1991; Bengio,
Simard and Frasconi 1994).
"""

import csv
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib import rcParams
from matplotlib.figure import Figure
from torch import Tensor, nn

from lm.cli.errors import one_line_errors
from lm.progress import progress_bar

LAGS = 100  # the longest way back that is measured
LENGTH = LAGS + 25  # symbols read in training and in measuring; losses at the last 25 reach back the whole way
ROWS = 32  # sequences side by side
MEASURED = 64  # sequences to average gradients over, each at every fifth of those 25 positions
COPY_LAGS = (5, 10, 20, 50, 100)
COPIED = 8  # symbols to remember; guessing is right once in eight
CLIP = 1.0  # the longest gradient taken as it is, against the other failure: gradients that explode


# --- Networks -------------------------------------------------------------------------------------------------


class Recurrent(nn.Module, ABC):
    """Symbols [T, B] -> log-odds of the next symbols; the kinds below differ in `step` and in how they begin.

    The first `hidden` numbers of the state are h, which the output layer sees. A symbol is a one-hot input, and so its
    input weights are one row of `inputs`, which holds the biases, too.
    """

    gates = 1  # rows of weights a cell has
    parts = 1  # vectors in the state
    learning_rate = 6e-3  # of Adam; at 2e-3 all networks learned less of the text in as many steps

    def __init__(self, symbols: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        bound = hidden**-0.5  # as PyTorch's own layers begin
        self.inputs = nn.Parameter(torch.empty(symbols, self.gates * hidden).uniform_(-bound, bound))
        self.recurrent = nn.Parameter(torch.empty(hidden, self.gates * hidden).uniform_(-bound, bound))
        self.output = nn.Linear(hidden, symbols)

    @abstractmethod
    def step(self, row: Tensor, state: Tensor) -> Tensor:
        """Input row [B, gates * hidden], state [B, parts * hidden] -> the next state."""

    def forward(self, symbols: Tensor, state: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Symbols [T, B], state before them (by default zeros) -> the state after each, logits [T, B, symbols]."""
        if state is None:
            state = self.inputs.new_zeros(symbols.shape[1], self.parts * self.hidden)
        states = []
        for row in self.inputs[symbols]:
            state = self.step(row, state)
            states.append(state)
        return states, self.output(torch.stack(states)[..., : self.hidden])


class Rnn(Recurrent):
    """Elman's (1990): h' = tanh(W x + U h)."""

    def step(self, row: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(row + state @ self.recurrent)


class OrthogonalRnn(Rnn):
    """U begins as a rotation, which leaves lengths as they are (Saxe, McClelland and Ganguli 2014)."""

    def __init__(self, symbols: int, hidden: int) -> None:
        super().__init__(symbols, hidden)
        nn.init.orthogonal_(self.recurrent)


class IdentityRnn(Recurrent):
    """h' = relu(W x + U h), where U begins as the identity and W near zero: IRNN (Le, Jaitly and Hinton 2015)."""

    learning_rate = 4e-3  # at 6e-3 it diverges: nothing bounds a ReLU

    def __init__(self, symbols: int, hidden: int) -> None:
        super().__init__(symbols, hidden)
        nn.init.eye_(self.recurrent)
        nn.init.normal_(self.inputs, std=0.001)

    def step(self, row: Tensor, state: Tensor) -> Tensor:
        return torch.relu(row + state @ self.recurrent)


class LayerNormRnn(Recurrent):
    """h' = tanh(norm(W x + U h)): mean 0 and variance 1 over the cells at each step (Ba, Kiros and Hinton 2016)."""

    def __init__(self, symbols: int, hidden: int) -> None:
        super().__init__(symbols, hidden)
        self.norm = nn.LayerNorm(hidden)

    def step(self, row: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(self.norm(row + state @ self.recurrent))


class Gru(Recurrent):
    """h' = z h + (1 - z) tanh(W x + r U h): what isn't renewed stays (Cho et al. 2014, as PyTorch has it)."""

    gates = 3

    def step(self, row: Tensor, state: Tensor) -> Tensor:
        row_r, row_z, row_new = row.chunk(3, 1)
        back_r, back_z, back_new = (state @ self.recurrent).chunk(3, 1)
        z = torch.sigmoid(row_z + back_z)
        return z * state + (1 - z) * torch.tanh(row_new + torch.sigmoid(row_r + back_r) * back_new)


class Lstm(Recurrent):
    """c' = f c + i tanh(…), h' = o tanh(c') (Hochreiter and Schmidhuber 1997; f by Gers et al. 2000).

    The forget gate's bias begins at 1, so that the cell begins by keeping most of what it holds (Jozefowicz, Zaremba
    and Sutskever 2015).
    """

    gates = 4
    parts = 2

    def __init__(self, symbols: int, hidden: int) -> None:
        super().__init__(symbols, hidden)
        self.inputs.data[:, :hidden] += 1

    def step(self, row: Tensor, state: Tensor) -> Tensor:
        h, c = state.chunk(2, 1)
        gates = row + h @ self.recurrent
        forget, write, read = torch.sigmoid(gates[:, : 3 * self.hidden]).chunk(3, 1)
        c = forget * c + write * torch.tanh(gates[:, 3 * self.hidden :])
        return torch.cat([read * torch.tanh(c), c], 1)


NETWORKS: dict[str, type[Recurrent]] = {
    "RNN": Rnn,
    "RNN, orthogonal": OrthogonalRnn,
    "RNN, ReLU identity": IdentityRnn,
    "RNN, layer norm": LayerNormRnn,
    "GRU": Gru,
    "LSTM": Lstm,
}


def parameters(network: nn.Module) -> int:
    """How many numbers training can change."""
    return sum(weights.numel() for weights in network.parameters())


def build(kind: type[Recurrent], symbols: int, budget: int, seed: int) -> Recurrent:
    """A fresh network with as many hidden cells as `budget` parameters buy."""
    hidden = bisect_right(range(1, 1025), budget, key=lambda size: parameters(kind(symbols, size)))
    if not hidden:
        raise ValueError(f"{budget} parameters are too few for {symbols} symbols; give more --parameters")
    torch.manual_seed(seed)
    return kind(symbols, hidden)


# --- Measuring and training -----------------------------------------------------------------------------------


def gradient_norms(network: Recurrent, symbols: Tensor, lags: int) -> Tensor:
    """||d loss_t / d state_{t-k}|| for k = 1 … lags, averaged over sequences and positions: [lags].

    Symbols [T + 1, B], T > lags; loss_t is that of foretelling symbol t + 1 from state t, in nats. Every fifth position
    t that has `lags` states before it counts. All of the state is meant: of an LSTM h and c together, for either may
    carry what was before.
    """
    states, logits = network(symbols[:-1])
    losses = nn.functional.cross_entropy(logits.transpose(1, 2), symbols[1:], reduction="none")
    positions = range(lags, len(losses), 5)
    total = losses.new_zeros(lags)
    for t in positions:
        # No sequence's loss depends on another's states: the sum's gradient is that of each.
        gradients = torch.autograd.grad(losses[t].sum(), states[t - lags : t], retain_graph=True)
        total += torch.stack(gradients[::-1]).norm(dim=2).mean(dim=1)
    return total / len(positions)


def train_step(network: Recurrent, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    optimizer.step()


def windows(text: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` random pieces of a text: [LENGTH + 1, count]."""
    starts = torch.randint(len(text) - LENGTH, (count,), generator=generator)
    return text[starts + torch.arange(LENGTH + 1)[:, None]]


def prediction_loss(network: Recurrent, symbols: Tensor) -> Tensor:
    """The mean loss of foretelling each next symbol, in nats."""
    _, logits = network(symbols[:-1])
    return nn.functional.cross_entropy(logits.flatten(0, 1), symbols[1:].flatten())


def train_on_text(network: Recurrent, text: Tensor, steps: int, seed: int, name: str) -> None:
    """Learn to foretell the next character, each window read from an empty memory."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), network.learning_rate)
    for _ in progress_bar(range(steps), f"{name}: text", steps):
        train_step(network, optimizer, prediction_loss(network, windows(text, ROWS, generator)))


def copy_task(lag: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences [lag + 1, count] and answers [count]: the first symbol is asked for `lag` steps later.

    In between stands noise, other symbols at random; the last one only asks. After Hochreiter and Schmidhuber (1997).
    """
    answers = torch.randint(COPIED, (count,), generator=generator)
    noise = torch.randint(COPIED, 2 * COPIED, (lag - 1, count), generator=generator)
    question = torch.full((1, count), 2 * COPIED)
    return torch.cat([answers[None], noise, question]), answers


def copy_accuracy(network: Recurrent, lag: int, steps: int, seed: int, name: str) -> float:
    """The share of 1,000 new sequences answered rightly after `steps` of training at that lag."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), network.learning_rate)
    for _ in progress_bar(range(steps), f"{name}: copying over {lag}", steps):
        symbols, answers = copy_task(lag, ROWS, generator)
        _, logits = network(symbols)
        train_step(network, optimizer, nn.functional.cross_entropy(logits[-1], answers))
    symbols, answers = copy_task(lag, 1000, generator)
    with torch.no_grad():
        _, logits = network(symbols)
    return float((logits[-1].argmax(1) == answers).double().mean())


# --- Results --------------------------------------------------------------------------------------------------

Norms = dict[str, Tensor]  # gradient norms [LAGS] of each network
COLOURS = dict(zip(NETWORKS, ("#000000", "#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#d55e00"), strict=True))
ROUNDING = 2**-24  # of single precision: adding so small a share to the gradient of lag 1 changes nothing


def share(norms: Tensor, lag: int) -> float:
    """The gradient at a lag as a share of the one at lag 1, which takes out how large the network's states are."""
    return float(norms[lag - 1] / norms[0])


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write_tsv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, dialect="excel-tab", lineterminator="\n").writerows([header, *rows])


def spread(heights: list[float], gap: float) -> list[float]:
    """Heights in falling order, each moved down as far as it must be to stand `gap` under the one before."""
    moved: list[float] = []
    for height in heights:
        moved.append(min(height, moved[-1] - gap) if moved else height)
    return moved


def plot(path: Path, moments: dict[str, Norms]) -> None:
    """The shares against the lag, a panel a moment, each curve named at its right end; Okabe and Ito's colours."""
    rcParams.update({"font.size": 22, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(20, 10), layout="constrained")
    panels = figure.subplots(1, len(moments), sharey=True)
    for panel, (moment, networks) in zip(panels, moments.items(), strict=True):
        panel.set(title=moment, xlabel="lag k (steps back)", yscale="log", xlim=(1, LAGS), xticks=(1, 25, 50, 75, 100))
        panel.axhspan(0, ROUNDING, color="0.93", zorder=0)
        shares = {name: (norms / norms[0]).tolist() for name, norms in networks.items()}
        ranked = sorted(shares, key=lambda name: -shares[name][-1])
        ends = [math.log10(max(shares[name][-1], 1e-30)) for name in ranked]
        for name, height in zip(ranked, spread(ends, 1.5), strict=True):
            width = 6 if name in ("RNN", "LSTM") else 3
            panel.plot(range(1, LAGS + 1), shares[name], color=COLOURS[name], linewidth=width)
            panel.text(LAGS + 2, 10**height, name, color=COLOURS[name], va="center", weight="bold", clip_on=False)
    panels[0].text(0.03, 0.03, "lost in the rounding\nof single precision", transform=panels[0].transAxes, color="0.35")
    panels[0].set_ylabel("share of the gradient at lag 1")
    figure.savefig(path, dpi=72, metadata={"Software": None})


def read_characters(path: Path, limit: int) -> Tensor:
    """The first `limit` characters of a text, as their numbers in its alphabet."""
    try:
        with path.open(encoding="utf-8") as file:
            characters = file.read(limit)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text; convert it with iconv") from error
    if len(characters) < 20 * LENGTH:
        raise ValueError(f"{path}: {len(characters)} characters, fewer than {20 * LENGTH}; give a longer text")
    numbers = {character: number for number, character in enumerate(sorted(set(characters)))}
    return torch.tensor([numbers[character] for character in characters])


app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    text: Annotated[Path, typer.Argument(help="A plain text to learn, UTF-8; its last tenth is held out.")],
    output: Annotated[Path, typer.Option(help="The folder for the two tables and the plot.")] = Path(
        "exp/vanishing_gradient"
    ),
    steps: Annotated[int, typer.Option(help="Steps of training on the text.", min=1)] = 600,
    copy_steps: Annotated[int, typer.Option(help="Steps of training on the copying, at each lag.", min=1)] = 400,
    size: Annotated[int, typer.Option("--parameters", help="Parameters of each network, at most.", min=1)] = 60_000,
    characters: Annotated[int, typer.Option(help="How much of the text to read.", min=1)] = 3_000_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same results.")] = 1,
) -> None:
    """Measure how gradients vanish in RNN, GRU and LSTM, and how long each remembers.

    Each network has the same number of parameters and learns to foretell the next character of the same text, with the
    same optimizer. Measured before and after: the norm of the gradient of a loss with respect to the state k steps
    before it, k = 1 to 100. Then fresh ones learn to repeat a symbol after a lag of noise, one for each lag.

    Prints two tables in Markdown; writes gradient.tsv, copy.tsv and gradient.png. Ten minutes on one core.

    Examples:

        python recipes/vanishing_gradient/run.py books.txt

        python recipes/vanishing_gradient/run.py books.txt --steps 6000 --copy-steps 2000 --output exp/longer
    """
    with one_line_errors():
        numbers = read_characters(text, characters)
        alphabet = int(numbers.max()) + 1
        output.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)  # more would add in another order, and be no faster for such small matrices
        training, held_out = numbers.tensor_split([len(numbers) * 9 // 10])
        measured = windows(held_out, MEASURED, torch.Generator().manual_seed(seed))

        before, after, rows = Norms(), Norms(), []
        for name, kind in NETWORKS.items():
            network = build(kind, alphabet, size, seed)
            # What is left of a gradient after 100 steps may be smaller than single precision can say.
            before[name] = gradient_norms(network.double(), measured, LAGS)
            train_on_text(network.float(), training, steps, seed, name)
            after[name] = gradient_norms(network.double(), measured, LAGS)
            with torch.no_grad():
                bits = float(prediction_loss(network, measured)) / math.log(2)
            shares = [f"{share(norms[name], lag):.1e}" for norms in (before, after) for lag in (10, 50, 100)]
            rows.append([name, str(network.hidden), str(parameters(network)), f"{bits:.2f}", *shares])
        moments = {"before training": before, "after training": after}
        header = ["when", "lag", *NETWORKS]
        write_tsv(
            output / "gradient.tsv",
            header,
            [
                [when, str(lag), *(f"{float(norms[name][lag - 1]):.4g}" for name in NETWORKS)]
                for when, norms in moments.items()
                for lag in range(1, LAGS + 1)
            ],
        )
        plot(output / "gradient.png", moments)
        lags = [f"{when}, lag {lag}" for when in ("before", "after") for lag in (10, 50, 100)]
        print(markdown(["network", "cells", "parameters", "bits a character", *lags], rows))
        for when, norms in moments.items():
            factor = share(norms["LSTM"], 50) / share(norms["RNN"], 50)
            print(f"Of the gradient at lag 1, the LSTM keeps {factor:.1e} times the RNN's share at lag 50, {when}.")

        copied = []
        for name, kind in NETWORKS.items():
            fresh = [build(kind, 2 * COPIED + 1, size, seed) for _ in COPY_LAGS]
            accuracies = [
                copy_accuracy(network, lag, copy_steps, seed, name)
                for network, lag in zip(fresh, COPY_LAGS, strict=True)
            ]
            copied.append([name, *(f"{accuracy:.3f}" for accuracy in accuracies)])
        write_tsv(output / "copy.tsv", ["network", *map(str, COPY_LAGS)], copied)
        print("\n" + markdown(["network", *(f"copied over {lag}" for lag in COPY_LAGS)], copied), end="")


if __name__ == "__main__":
    app()

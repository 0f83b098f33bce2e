import csv
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

PROGRAM = Path(__file__).parents[2] / "recipes/vanishing_gradient/run.py"
specification = importlib.util.spec_from_file_location("vanishing_gradient", PROGRAM)
assert specification is not None
assert specification.loader is not None
recipe = importlib.util.module_from_spec(specification)
specification.loader.exec_module(recipe)

SYMBOLS, HIDDEN = 5, 4


@pytest.fixture(params=recipe.NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    made: nn.Module = recipe.NETWORKS[request.param](SYMBOLS, HIDDEN).double()
    nn.init.normal_(made.get_parameter("inputs"))  # large enough that gates open and ReLUs close
    return made


def test_gradients_are_what_finite_differences_say(network: nn.Module) -> None:
    lags, rows, tiny = 6, 3, 1e-6
    symbols = torch.randint(SYMBOLS, (lags + 2, rows))
    with torch.no_grad():
        states, _ = network(symbols[:-1])

        def losses(lag: int, state: Tensor) -> Tensor:
            """The last symbol's loss when `state` is what the network was in `lag` steps before."""
            _, logits = network(symbols[-1 - lag : -1], state)
            return nn.functional.cross_entropy(logits[-1], symbols[-1], reduction="none")

        expected = []
        for lag in range(1, lags + 1):
            state = states[-1 - lag]
            steps = tiny * torch.eye(state.shape[1], dtype=torch.float64)
            slopes = [(losses(lag, state + step) - losses(lag, state - step)) / (2 * tiny) for step in steps]
            expected.append(torch.stack(slopes).norm(dim=0).mean())
    norms = recipe.gradient_norms(network, symbols, lags)
    assert norms[-1] > 0
    torch.testing.assert_close(norms, torch.stack(expected), rtol=1e-6, atol=1e-10)


def test_a_linear_networks_gradient_is_a_matrix_power() -> None:
    class Linear(recipe.Rnn):  # type: ignore[misc, name-defined]
        def step(self, row: Tensor, state: Tensor) -> Tensor:
            return row + state @ self.recurrent

    torch.manual_seed(3)
    lags, network = 8, Linear(SYMBOLS, HIDDEN).double()
    symbols = torch.randint(SYMBOLS, (lags + 7, 2))
    with torch.no_grad():
        _, logits = network(symbols[:-1])
        surprise = logits.softmax(2) - nn.functional.one_hot(symbols[1:], SYMBOLS)
        here = (surprise @ network.output.weight)[[lags, lags + 5]]  # d loss_t / d h_t at the two positions measured
        powers = [torch.linalg.matrix_power(network.recurrent.T, lag) for lag in range(1, lags + 1)]
        expected = torch.stack([(here @ power).norm(dim=2).mean() for power in powers])
    torch.testing.assert_close(recipe.gradient_norms(network, symbols, lags), expected)


@pytest.mark.parametrize(
    ("name", "layer", "order"),
    [("RNN", nn.RNN, [0]), ("GRU", nn.GRU, [0, 1, 2]), ("LSTM", nn.LSTM, [1, 0, 3, 2])],  # PyTorch's gates in our order
)
@torch.no_grad()
def test_steps_are_those_of_pytorchs_layers(name: str, layer: type[nn.RNNBase], order: list[int]) -> None:
    torch.manual_seed(3)
    network, theirs = recipe.NETWORKS[name](SYMBOLS, HIDDEN), layer(SYMBOLS, HIDDEN, bias=False)
    blocks = [(theirs.weight_ih_l0.chunk(len(order))[i], theirs.weight_hh_l0.chunk(len(order))[i]) for i in order]
    network.inputs.copy_(torch.cat([inputs.T for inputs, _ in blocks], dim=1))
    network.recurrent.copy_(torch.cat([recurrent.T for _, recurrent in blocks], dim=1))
    symbols = torch.randint(SYMBOLS, (7, 3))
    states, logits = network(symbols)
    expected, _ = theirs(nn.functional.one_hot(symbols, SYMBOLS).float())
    torch.testing.assert_close(torch.stack(states)[..., :HIDDEN], expected)
    torch.testing.assert_close(logits, network.output(expected))


@pytest.mark.parametrize("name", recipe.NETWORKS)
def test_networks_are_as_large_as_the_budget_allows(name: str) -> None:
    network = recipe.build(recipe.NETWORKS[name], 28, 20_000, seed=1)
    assert 0.95 * 20_000 < recipe.parameters(network) <= 20_000


def test_the_copying_task_asks_for_the_first_symbol() -> None:
    symbols, answers = recipe.copy_task(10, 500, torch.Generator().manual_seed(1))
    assert symbols.shape == (11, 500)
    assert torch.equal(symbols[0], answers)
    assert set(answers.tolist()) == set(range(8))
    assert set(symbols[1:-1].flatten().tolist()) == set(range(8, 16))
    assert set(symbols[-1].tolist()) == {16}


def test_training_on_text_learns() -> None:
    network = recipe.build(recipe.Lstm, 2, 500, seed=1)
    text = torch.arange(1000) % 2
    symbols = recipe.windows(text, 4, torch.Generator().manual_seed(1))
    before = recipe.prediction_loss(network, symbols)
    recipe.train_on_text(network, text, steps=10, seed=1, name="LSTM")
    assert recipe.prediction_loss(network, symbols) < before


def test_labels_stand_apart() -> None:
    assert recipe.spread([3.0, 2.9, 0.0, -0.5], 1.0) == [3.0, 2.0, 0.0, -1.0]


def test_the_program_writes_tables_and_a_plot_always_the_same(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("IT WAS THE BEST OF TIMES IT WAS THE WORST OF TIMES\n" * 100)
    command = [str(text), "--steps", "1", "--copy-steps", "1", "--parameters", "500"]
    printed = []
    for folder in ("first", "second"):
        result = CliRunner().invoke(recipe.app, [*command, "--output", str(tmp_path / folder)])
        assert result.exit_code == 0, result.output
        printed.append(result.stdout)
    assert printed[0] == printed[1]
    for name in ("gradient.tsv", "copy.tsv", "gradient.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()

    gradient = list(csv.DictReader((tmp_path / "first/gradient.tsv").open(), delimiter="\t"))
    assert [int(row["lag"]) for row in gradient] == 2 * list(range(1, 101))
    assert float(gradient[0]["LSTM"]) > float(gradient[99]["LSTM"]) > 0
    copied = list(csv.DictReader((tmp_path / "first/copy.tsv").open(), delimiter="\t"))
    assert [row["network"] for row in copied] == list(recipe.NETWORKS)
    assert "| LSTM " in printed[0]
    assert "times the RNN's share at lag 50, after training" in printed[0]


def test_a_text_too_short_is_told_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("SHORT")
    result = CliRunner().invoke(recipe.app, [str(text), "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr == f"error: {text}: 5 characters, fewer than 2500; give a longer text\n"

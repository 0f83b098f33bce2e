"""The computation graph of an LSTM, as autograd has recorded it."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import nn

# What autograd calls a step of the way back is named here by the step forwards.
NAMES = {
    "AddBackward0": "+",
    "MulBackward0": "×",
    "SigmoidBackward0": "σ",
    "TanhBackward0": "tanh",
    "UnsafeSplitBackward0": "split",
}
PASSED_OVER = ("TBackward0",)  # a transposed matrix is the matrix


@dataclass
class Node:
    """An operation, or a value that gradients are for."""

    name: str
    inputs: list["Node"] = field(default_factory=list)
    level: int = 0  # from the left, the outputs' being 0
    place: float = 0.0  # within the level


def lstm_graph(steps: int) -> list[Node]:
    """The nodes of `steps` steps of an LSTM, by torch: every node after its inputs."""
    torch.manual_seed(1)
    cell = nn.LSTMCell(3, 4)
    hidden, memory = (torch.zeros(1, 4, requires_grad=True) for _ in range(2))
    leaves = {
        hidden: "h0",
        memory: "c0",
        cell.weight_ih: "W",
        cell.weight_hh: "U",
        cell.bias_ih: "b",
        cell.bias_hh: "b′",
    }
    for step in range(1, steps + 1):
        heard = torch.randn(1, 3, requires_grad=True)
        leaves[heard] = f"x{step}"
        hidden, memory = cell(heard, (hidden, memory))
    nodes: dict[Any, Node] = {}

    def visit(function: Any) -> Node:
        while function.name() in PASSED_OVER:
            function = function.next_functions[0][0]
        if function not in nodes:
            inputs = [visit(before) for before, _ in function.next_functions if before is not None]
            variable = getattr(function, "variable", None)
            if variable is not None:
                name = leaves[variable]
            elif function.name() == "AddmmBackward0":
                bias, vector, matrix = inputs
                name = f"{matrix.name} {vector.name if not vector.inputs else 'h'} + {bias.name}"
            else:
                name = NAMES[function.name()]
            nodes[function] = Node(name, inputs)
        return nodes[function]

    outputs = {f"h{steps}": visit(hidden.grad_fn), f"c{steps}": visit(memory.grad_fn)}
    return [*nodes.values(), *(Node(name, [output]) for name, output in outputs.items())]


def arrange(nodes: list[Node]) -> None:
    """Give every node a place: near its neighbours', so that few lines cross (Sugiyama's barycentres)."""
    users: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        for given in node.inputs:
            users[id(given)].append(node)
    for node in reversed(nodes):  # each just before its first use,
        node.level = min((user.level for user in users[id(node)]), default=1) - 1
    for node in nodes:  # but gates where the four of a step part
        if [given.name for given in node.inputs] == ["split"]:
            node.level = node.inputs[0].level + 1
    levels: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        levels[node.level].append(node)
    for members in levels.values():
        for number, node in enumerate(members):
            node.place = number - (len(members) - 1) / 2
    for sweep in range(20):
        for level in sorted(levels, reverse=bool(sweep % 2)):
            members = levels[level]

            def centre(node: Node) -> float:
                near = [*node.inputs, *users[id(node)]]
                return sum(other.place for other in near) / len(near)

            members.sort(key=centre)
            for number, node in enumerate(members):
                node.place = number - (len(members) - 1) / 2


def draw(axes: Axes, nodes: list[Node]) -> None:
    """From left to right: round are operations, in boxes what goes in and comes out."""
    arrange(nodes)
    for node in nodes:
        for given in node.inputs:
            bend = 0.12 if node.level - given.level > 1 else 0.0  # around what lies between
            arrow = {"arrowstyle": "-|>", "color": "0.55", "shrinkA": 9, "shrinkB": 9, "linewidth": 0.8}
            arrow["connectionstyle"] = f"arc3,rad={bend if given.place < 0 else -bend}"
            axes.annotate("", (node.level, node.place), (given.level, given.place), arrowprops=arrow)
    for node in nodes:
        value = not node.inputs or not any(node in other.inputs for other in nodes)
        box = {
            "boxstyle": "square" if value else "round",
            "facecolor": "0.85" if value else "white",
            "edgecolor": "0.2",
        }
        axes.text(node.level, node.place, node.name, ha="center", va="center", fontsize=9, bbox=box)
    levels, places = [node.level for node in nodes], [node.place for node in nodes]
    axes.set(xlim=(min(levels) - 0.5, max(levels) + 0.5), ylim=(min(places) - 0.7, max(places) + 0.7))
    axes.axis("off")

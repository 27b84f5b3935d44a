"""What `verify` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """The first variable that was not bit-identical.

    Args:
        variable: Its name.
        side: `"client"` or `"server"`.
        step: After how many updates; 0 is the state before training.
    """

    variable: str
    side: str
    step: int


@dataclass(frozen=True)
class Report:
    """The comparison of a whole and a split training.

    Args:
        cut: Where the model was cut.
        steps: Updates of each.
        variables: Variables that were compared after each of them, optimizers' and seeds' included.
        difference: The first one, or None.
        history_differences: Names in History whose values differ.
        clients: Data owners that trained.
        turns: That several of them took. Variables of the server are compared after each of these, since in
            between nobody may read them.
    """

    cut: str
    steps: int
    variables: int
    difference: Difference | None
    history_differences: tuple[str, ...]
    clients: int = 1
    turns: int = 0

    @property
    def equal(self) -> bool:
        """Whether everything was bit-identical."""
        return self.difference is None and not self.history_differences

    def __str__(self) -> str:
        compared = f"{self.variables} variables after each of {self.steps} updates"
        if self.turns:
            compared += f" (the server's after each of {self.turns} turns of {self.clients} clients)"
        compared += f", cut at {self.cut}"
        if self.equal:
            return f"Equal to the last bit: {compared}, and every value of History."
        lines = [f"NOT equal ({compared})."]
        if self.difference is not None:
            lines.append(
                f"First difference: {self.difference.variable!r} on the {self.difference.side}, after "
                f"update {self.difference.step}."
            )
        if self.history_differences:
            lines.append(f"History differs in: {', '.join(self.history_differences)}.")
        lines.append("docs/exactness.md lists the known reasons, threads and processors above all.")
        return "\n".join(lines)

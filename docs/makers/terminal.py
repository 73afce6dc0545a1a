"""The picture of a run in a terminal: ``python docs/makers/terminal.py`` runs an example on this machine and keeps what is printed as SVG."""

from __future__ import annotations

import io
import re
from pathlib import Path

import anyio
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

import flowcore
from flowcore.cli.screens import PlainScreen, coloured
from flowcore.tree import tree_lines
from flowcore_backends.local import LocalExecutor

DOCS = Path(__file__).resolve().parent.parent
EXAMPLE = DOCS / "examples" / "release.yaml"
PICTURE = DOCS / "images" / "terminal.svg"
COMMAND = "flowcore run docs/examples/release.yaml"
COLUMNS = 120
THEME = TerminalTheme(
    (22, 27, 34),
    (214, 221, 230),
    [(72, 79, 88), (248, 104, 97), (74, 201, 126), (222, 174, 70), (98, 160, 255), (192, 140, 250), (80, 200, 220), (201, 209, 217)],
    [
        (110, 118, 129),
        (255, 140, 130),
        (100, 220, 150),
        (240, 200, 100),
        (130, 185, 255),
        (210, 170, 255),
        (120, 225, 235),
        (255, 255, 255),
    ],
)
# Rich's own form asks a server for its font; a picture should ask nobody.
FORM = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code", '"Fira Code", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono"'
)


async def recorded(console: Console) -> None:
    """Run the example, and print on ``console`` what ``flowcore run`` prints in a terminal."""
    console.print(Text.assemble(("$ ", "bold green"), (COMMAND, "bold")))
    async with flowcore.open_run(EXAMPLE, executor=LocalExecutor(), name="release-7kx2m") as run:
        screen = PlainScreen(console, run.row, run.snapshot().nodes, logs=True)
        async for change in run.events(replay=True):
            screen.tell(change)
        result = await run.result()
    console.print()
    for line in coloured(tree_lines(result.row, sorted(result.nodes.values(), key=lambda node: node.seq), now=result.row.finished_at)):
        console.print(line)


def main() -> None:
    """Write the picture."""
    console = Console(record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor", width=COLUMNS, highlight=False)
    anyio.run(recorded, console)
    drawn = console.export_svg(title=COMMAND, theme=THEME, code_format=FORM, unique_id="run")
    PICTURE.write_text(drawn.replace("<text ", '<text xml:space="preserve" '))  # else some programs drop spaces at the begin
    print(f"{PICTURE.relative_to(DOCS.parent)} written")


if __name__ == "__main__":
    main()

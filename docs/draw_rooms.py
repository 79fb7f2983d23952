"""Draws docs/images/rooms.svg from what tests/test_structure.py checks: which room may import which.

    python docs/draw_rooms.py

A room stands above the rooms that it imports. An arrow points to what is imported; an arrow that follows from two
others is left out.
"""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
NAMES = ("CORE", "FLOORS", "SHARED", "ROOMS")

BOX, GAP, HEIGHT, FLOOR, MARGIN = 150, 16, 62, 112, 16
FONT = "font-family='system-ui, sans-serif'"


def rooms() -> dict[str, tuple[set[str], set[str]]]:
    """Room -> the rooms and the libraries that it may import, as the test has them."""
    tree = ast.parse((ROOT / "tests" / "test_structure.py").read_text())
    tables = [node for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id in NAMES]
    names: dict = {}
    exec(compile(ast.Module(tables, type_ignores=[]), "test_structure.py", "exec"), names)
    return names["FLOORS"] | names["ROOMS"]


def below(room: str, imports: dict[str, set[str]]) -> set[str]:
    """All rooms that a room imports, through others as well."""
    return imports[room].union(*(below(other, imports) for other in imports[room]))


def direct(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports that do not follow from others."""
    return {
        room: {other for other in others if not any(other in below(via, imports) for via in others - {other})}
        for room, others in imports.items()
    }


def floors(imports: dict[str, set[str]]) -> list[list[str]]:
    """Rooms by floor, from the ground: each is one above the highest room that it imports."""

    def height(room: str) -> int:
        return 1 + max((height(other) for other in imports[room]), default=-1)

    return [[room for room in imports if height(room) == n] for n in range(1 + max(map(height, imports)))]


def picture() -> str:
    """The text of the SVG file."""
    table = rooms()
    imports = {room: others for room, (others, _) in table.items()}
    # What the core needs anyway, and the library that a room is named after, go without saying.
    core = table["_common"][1]
    house = floors(imports)
    width = max(map(len, house)) * (BOX + GAP) - GAP + 2 * MARGIN
    height = len(house) * FLOOR - (FLOOR - HEIGHT) + 2 * MARGIN
    place, boxes = {}, []
    for n, floor in enumerate(house):
        left = (width - len(floor) * (BOX + GAP) + GAP) / 2
        for i, room in enumerate(floor):
            x, y = left + i * (BOX + GAP), height - MARGIN - HEIGHT - n * FLOOR
            place[room] = x + BOX / 2, y
            libraries = sorted(table[room][1] - core) or (sorted(table[room][1]) if n < 3 else [])
            boxes.append(_box(room, libraries, x, y))
    arrows = [_arrow(place[room], place[other]) for room, others in direct(imports).items() for other in sorted(others)]
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' "
        "role='img'>\n<title>The rooms of skfocal. An arrow points from a room to one that it imports.</title>\n"
        "<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='8' markerHeight='8' orient='auto'>"
        "<path d='M0 0 L10 5 L0 10 z' fill='#57606a'/></marker></defs>\n"
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>\n"
    )
    return head + "".join(line + "\n" for line in [*arrows, *boxes]) + "</svg>\n"


def _box(room: str, libraries: list[str], x: float, y: float) -> str:
    path = ROOT / "skfocal" / room
    name = f"{room}/" if path.is_dir() else f"{room}.py"
    lines = [libraries[i : i + 2] for i in range(0, len(libraries), 2)]
    below_name = "".join(
        f"<text x='{x + BOX / 2:g}' y='{y + 38 + 15 * i:g}' {FONT} font-size='12' fill='#57606a' text-anchor='middle'>"
        f"{escape(', '.join(line))}</text>"
        for i, line in enumerate(lines)
    )
    name_y = y + 21 if lines else y + 36
    return (
        f"<rect x='{x:g}' y='{y:g}' width='{BOX}' height='{HEIGHT}' rx='6' fill='#eaf2fb' stroke='#2f6fab'/>"
        f"<text x='{x + BOX / 2:g}' y='{name_y:g}' font-family='monospace' font-size='15' fill='#1f2328' "
        f"text-anchor='middle'>{escape(name)}</text>{below_name}"
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    y1 += HEIGHT
    middle = (y1 + y2) / 2
    # Towards the middle of the lower box, spread a little, so that several tips do not hide each other.
    x2 += max(-BOX / 2 + 12, min(BOX / 2 - 12, (x1 - x2) / 5))
    return (
        f"<path d='M{x1:g} {y1:g} C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2 - 1:g}' fill='none' "
        "stroke='#57606a' marker-end='url(#tip)'/>"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture())
    print(PICTURE)

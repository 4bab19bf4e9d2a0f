"""What came out of a run as one HTML page, which needs nothing else.

All text of the file goes through :func:`html.escape`; there are no scripts, and a policy in the
page forbids any, and every request. Pictures are in the page, each for light and for dark screens.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape

from mpipar.base.text import printable, several
from mpipar.store.summary import Summary
from mpipar.view.style import is_possible

HEAD = "<!DOCTYPE html>\n<!-- made by mpipar show -->\n"
"""How a page begins: what begins otherwise is somebody else's."""

_MOST_SKIPPED = 50
_NARROW_SCREEN = "(max-width: 640px)"
_DARK_SCREEN = "(prefers-color-scheme: dark)"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #5b6066; --paper: #fff;
  --line: #dcdfe3; --card: #f5f6f8; --mark: #b04a00; }
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8e8e8; --soft: #a3a9b1; --paper: #17191c; --line: #363a40; --card: #202327;
    --mark: #ff8f4d;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 1.5rem 1rem 3rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 0.6rem; }
p { margin: 0.4rem 0; }
.soft { color: var(--soft); }
.value {
  font-size: 1.35rem; font-variant-numeric: tabular-nums; white-space: pre-wrap; margin: 0.5rem 0;
}
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.7rem;
  margin: 1.2rem 0;
}
.cards div {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.6rem 0.8rem;
}
.cards b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem;
}
figure { margin: 0; }
figcaption { color: var(--soft); font-size: 0.9rem; }
img { display: block; width: 100%; height: auto; }
table {
  border-collapse: collapse; width: 100%; font-size: 0.93rem; font-variant-numeric: tabular-nums;
}
th, td {
  text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0;
  border-bottom: 1px solid var(--line);
}
th { font-weight: 600; }
table.pairs th { width: 11rem; font-weight: 400; color: var(--soft); }
.warn { color: var(--mark); }
@media (max-width: 640px) { body { padding: 1rem 0.75rem 2rem; } table.pairs th { width: 40%; } }
"""

Pairs = Sequence[tuple[str, str]]
Sections = Sequence[tuple[str, Pairs]]
Drawn = list[tuple[str, bytes]]
"""Pictures, and which screens each is for; the last is for all."""
Ranks = tuple[str, Sequence[str], Sequence[Sequence[str]]]


def page(
    summary: Summary,
    value: str,
    cards: Pairs,
    warnings: Sequence[str],
    sections: Sections,
    ranks: Ranks,
) -> str:
    """Return the page.

    Parameters
    ----------
    summary : Summary
    value : str
        The result, as text.
    cards : sequence of (str, str)
        Numbers to be seen at once, and what they are.
    warnings : sequence of str
        What the reader should know before any number is used.
    sections : sequence of (str, sequence of (str, str))
        Titles, and names with values.
    ranks : (str, sequence, sequence)
        A title, heads, and lines of cells.
    """
    title = f"{summary.driver}: {summary.path.name}"
    about = f"{_text(summary.path.name)}, {_text(summary.provenance.created or '')}"
    body = [
        f"<h1>{_text(summary.driver)}</h1>",
        f'<p class="soft">{about}</p>',
        f'<p class="value">{_lines(value)}</p>',
    ]
    for line in warnings:
        body.append(f'<p class="warn">{_text(line)}</p>')
    body += _cards(cards)
    body += _pictures(summary)
    for heading, pairs in sections:
        if pairs:
            body += _pairs(heading, pairs)
    body += _ranks(*ranks)
    body += _skipped(summary)
    head = [
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
    ]
    return HEAD + "\n".join([*head, *body, "</body></html>", ""])


def _lines(text: str) -> str:
    return "\n".join(map(_text, text.splitlines()))


def _cards(cards: Pairs) -> Iterable[str]:
    yield '<div class="cards">'
    for what, number in cards:
        yield f"<div><b>{_text(number)}</b>{_text(what)}</div>"
    yield "</div>"


def _pictures(summary: Summary) -> Iterable[str]:
    if not is_possible():
        yield (
            '<p class="soft">There are no pictures: matplotlib wasn\'t there'
            " (pip install 'mpipar[plot]').</p>"
        )
        return
    yield "<h2>Who worked when</h2>"
    if summary.why_no_timeline:
        yield f'<p class="soft">There is no timeline: {summary.why_no_timeline}.</p>'
    else:
        yield _timeline(summary)
    if summary.busy > 0:
        yield from _shares(summary)


def _timeline(summary: Summary) -> str:
    """Return the timeline on light and dark paper, for wide and narrow screens."""
    from mpipar.view.themes import DARK, LIGHT
    from mpipar.view.timeline import NARROW, WIDE, draw_timeline, titles

    about = (
        f"Timeline. {'; '.join(titles(summary))}."
        " A line for each process, over time; what is grey is idle."
    )
    drawn = [
        (f"{_NARROW_SCREEN} and {_DARK_SCREEN}", draw_timeline(summary, "png", DARK, NARROW)),
        (_NARROW_SCREEN, draw_timeline(summary, "png", LIGHT, NARROW)),
        (_DARK_SCREEN, draw_timeline(summary, "png", DARK, WIDE)),
        ("", draw_timeline(summary, "png", LIGHT, WIDE)),
    ]
    return _figure(about, "", drawn)


def _shares(summary: Summary) -> Iterable[str]:
    from mpipar.view import balance
    from mpipar.view.themes import DARK, LIGHT

    def both(draw: Callable[..., bytes]) -> Drawn:
        return [(_DARK_SCREEN, draw(summary, DARK)), ("", draw(summary, LIGHT))]

    yield "<h2>How the work was shared out</h2>"
    yield '<div class="pair">'
    about = balance.about_shares(summary)
    yield _figure(about, about, both(balance.draw_shares))
    if not summary.why_no_timeline:
        blocks = both(balance.draw_blocks)
        item = summary.words.item
        about = f"Histogram of {item} times."
        yield _figure(about, f"How long {item}s took.", blocks)
    yield "</div>"


def _figure(about: str, caption: str, drawn: Drawn) -> str:
    """Return pictures of which a browser shows the first that fits."""
    *others, (_, default) = drawn
    figure = "<figure><picture>"
    for media, png in others:
        figure += f'<source media="{media}" srcset="{_data(png)}">'
    figure += f'<img src="{_data(default)}" alt="{_text(about)}"></picture>'
    if caption:
        figure += f"<figcaption>{_text(caption)}</figcaption>"
    return f"{figure}</figure>"


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _pairs(heading: str, pairs: Pairs) -> Iterable[str]:
    yield f'<h2>{_text(heading)}</h2><table class="pairs">'
    for name, words in pairs:
        yield f"<tr><th>{_text(name)}</th><td>{_text(words)}</td></tr>"
    yield "</table>"


def _ranks(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterable[str]:
    yield f"<h2>{_text(title)}</h2><table>{_row('th', heads)}"
    for line in lines:
        yield _row("td", line)
    yield "</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"


def _skipped(summary: Summary) -> Iterable[str]:
    if not len(summary.skipped):
        return
    yield "<h2>Skipped blocks</h2><table><tr><th>block</th><th>items</th><th>why</th></tr>"
    for block in summary.skipped[:_MOST_SKIPPED]:
        items = f"{block['start']} to {block['stop'] - 1}"
        yield f"<tr><td>{block['block']}</td><td>{items}</td><td>{_text(block['reason'])}</td></tr>"
    yield "</table>"
    if len(summary.skipped) > _MOST_SKIPPED:
        yield f"<p>… and {several(len(summary.skipped) - _MOST_SKIPPED, 'more block')}</p>"


def _text(text: object) -> str:
    return escape(printable(text))

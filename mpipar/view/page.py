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
_NARROW = "(max-width: 640px)"
_DARK = "(prefers-color-scheme: dark)"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #5b6066; --paper: #fff; --line: #dcdfe3; --card: #f5f6f8;
  --mark: #b04a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #a3a9b1; --paper: #17191c; --line: #363a40; --card: #202327; --mark: #ff8f4d; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 1.5rem 1rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 0.6rem; }
p { margin: 0.4rem 0; }
.soft { color: var(--soft); }
.value { font-size: 1.35rem; font-variant-numeric: tabular-nums; white-space: pre-wrap; margin: 0.5rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.7rem; margin: 1.2rem 0; }
.cards div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem 0.8rem; }
.cards b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: 0.9rem; }
img { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.93rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
table.pairs th { width: 11rem; font-weight: 400; color: var(--soft); }
.warn { color: var(--mark); }
@media (max-width: 640px) { body { padding: 1rem 0.75rem 2rem; } table.pairs th { width: 40%; } }
"""

Pairs = Sequence[tuple[str, str]]
Sections = Sequence[tuple[str, Pairs]]
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
    body = [
        f"<h1>{_text(summary.driver)}</h1>",
        (
            f'<p class="soft">{_text(summary.path.name)},'
            f" {_text(summary.provenance.created or '')}</p>"
        ),
        f'<p class="value">{chr(10).join(_text(line) for line in value.splitlines())}</p>',
        *(f'<p class="warn">{_text(line)}</p>' for line in warnings),
        '<div class="cards">',
        *(f"<div><b>{_text(number)}</b>{_text(what)}</div>" for what, number in cards),
        "</div>",
        *_pictures(summary),
        *(line for heading, pairs in sections if pairs for line in _pairs(heading, pairs)),
        *_ranks(*ranks),
        *_skipped(summary),
    ]
    head = [
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
    ]
    return HEAD + "\n".join([*head, *body, "</body></html>", ""])


def _pictures(summary: Summary) -> list[str]:
    if not is_possible():
        return [
            '<p class="soft">There are no pictures: matplotlib wasn\'t there (pip install'
            " 'mpipar[plot]').</p>"
        ]
    from mpipar.view import balance
    from mpipar.view.timeline import DARK, LIGHT, NARROW, WIDE, draw_timeline, titles

    made = ["<h2>Who worked when</h2>"]
    if not summary.why_no_timeline:
        about = (
            f"{'; '.join(titles(summary))}. A line for each process, over time; what is grey is"
            " idle."
        )
        themes = {_DARK: DARK, "": LIGHT}
        drawn = [
            (" and ".join(filter(None, (size, dark))), draw_timeline(summary, "png", theme, width))
            for size, width in ((_NARROW, NARROW), ("", WIDE))
            for dark, theme in themes.items()
        ]
        made.append(_figure("Timeline. " + about, "", drawn))
    else:
        made.append(f'<p class="soft">There is no timeline: {summary.why_no_timeline}.</p>')

    def both(draw: Callable[..., bytes]) -> list[tuple[str, bytes]]:
        return [(_DARK, draw(summary, DARK)), ("", draw(summary, LIGHT))]

    if summary.busy > 0:
        made += ["<h2>How the work was shared out</h2>", '<div class="pair">']
        about = balance.about_shares(summary)
        made.append(_figure(about, about, both(balance.draw_shares)))
        if not summary.why_no_timeline:
            made.append(
                _figure(
                    "Histogram of block times.", "How long blocks took.", both(balance.draw_blocks)
                )
            )
        made.append("</div>")
    return made


def _figure(about: str, caption: str, drawn: list[tuple[str, bytes]]) -> str:
    """Return pictures of which a browser shows the first that fits."""
    *others, (_, default) = drawn
    sources = "".join(f'<source media="{media}" srcset="{_data(png)}">' for media, png in others)
    words = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><picture>{sources}<img src="{_data(default)}"'
        f' alt="{_text(about)}"></picture>{words}</figure>'
    )


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _pairs(heading: str, pairs: Pairs) -> Iterable[str]:
    yield f'<h2>{_text(heading)}</h2><table class="pairs">'
    for name, words in pairs:
        yield f"<tr><th>{_text(name)}</th><td>{_text(words)}</td></tr>"
    yield "</table>"


def _ranks(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterable[str]:
    yield (
        f"<h2>{_text(title)}</h2><table><tr>{''.join(f'<th>{_text(head)}</th>' for head in heads)}</tr>"
    )
    for line in lines:
        yield f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in line)}</tr>"
    yield "</table>"


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

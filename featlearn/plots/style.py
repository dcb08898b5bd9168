"""The style of figures: sizes for a paper's column, colours safe for the colour-blind, and labels of the axes.

Nothing is changed at import: a figure is drawn, and saved, inside `with paper():`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex, to_rgba

from featlearn.tables.continuous import FLOW, RULE, SDE, parted
from featlearn.tables.labels import Label

INK = "#222222"  # of the light page, and of what is drawn on cells, whose colours are the same on every page

# seaborn's palette "colorblind", and places of its colour map "mako_r": to import seaborn takes longer than to draw
PALETTE: Sequence[str] = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"),
    *("#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"),
)
GLOW: Sequence[str] = (  # the same colours, as light as a dark page needs them
    *("#4aa8e0", "#f0a732", "#35c79b", "#f07a3c", "#e09ad0"),
    *("#d8ab7c", "#fbc6ec", "#b5b5b5", "#ece133", "#9ad2f5"),
)
MARKERS = "osDPX^v<>h"  # beside the colours, for print in grey
DASHES: Sequence[Any] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (4, 1.2, 1, 1.2)))
MAKO: Sequence[str] = (
    *("#def5e5", "#c0e9cc", "#99ddb6", "#6ad2ad", "#4cc3ad", "#3cb2ad", "#35a0ab", "#348fa7"),
    *("#357da3", "#366b9f", "#3b589a", "#40478b", "#3f3770", "#382a54", "#2e1e3b", "#201322"),
)


@dataclass(frozen=True)
class Page:
    """The colours of a page: ground, ink, the greys of text and of cells without a value, and those of lines."""

    ground: str
    ink: str
    grey: str
    light: str
    palette: Sequence[str]


WHITE = Page("white", INK, "#707070", "#d9d9d9", PALETTE)
DARK = Page("#16191e", "#e8e8e8", "#a6a6a6", "#55585e", GLOW)
GREY, LIGHT = WHITE.grey, WHITE.light  # for figures of one's own
_PAGE: ContextVar[Page] = ContextVar("page", default=WHITE)

RC: Mapping[Any, Any] = MappingProxyType(
    {
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "font.size": 9,
        "axes.labelsize": 9,
        "axes.titlesize": 9.5,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.axisbelow": True,
        "lines.solid_capstyle": "round",
        "hatch.linewidth": 0.4,
        "lines.linewidth": 1.4,
        "figure.dpi": 150,
        "savefig.dpi": 300,
        "svg.hashsalt": "featlearn",
        "pdf.fonttype": 42,
    }
)

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "data.signal_norm": r"signal norm $\|\mu\|$",
        "data.dim": r"dimension $d$",
        "data.snr": r"signal to noise ratio $\|\mu\| / (\sigma_p \sqrt{d})$",
        "data.n_samples": r"training samples $n$",
        "data.n_patches": r"patches $P$",
        "data.noise_std": r"noise level $\sigma_p$",
        "data.angle": "angle between the axes (degrees)",
        "data.flip_prob": r"share of flipped labels $p$",
        "network.n_filters": r"filters per sign $m$",
        "network.init_std": r"initial standard deviation $\sigma_0$",
        "optimizer.lr": r"learning rate $\eta$",
        "optimizer.rho": r"SAM radius $\rho$",
        "train.batch_size": r"batch size $B$",
        "step": "step",
        "train_loss": "train loss",
        "train_error": "train error",
        "grad_norm": "gradient norm",
        "test_error": "test error (observed labels)",
        "test_error_true": "test error (true labels)",
        "signal_coef_max": r"signal, largest: $\max_{j,r}\,\gamma_{j,r}$",
        "signal_coef_mean": r"signal, mean: $\gamma_{j,r}$",
        "noise_coef_pos_max": r"noise, largest: $\max\,\overline{\rho}_{j,r,i}$",
        "noise_coef_pos_mean": r"noise, mean: $\overline{\rho}_{j,r,i}$",
        "noise_coef_neg_min": r"noise, smallest: $\min\,\underline{\rho}_{j,r,i}$",
        "noise_coef_neg_mean": r"noise, mean: $\underline{\rho}_{j,r,i}$",
        "noise_deactivated": "noise activations switched off",
        "signal_kept": "signal activations kept",
        "sharpness": r"sharpness $\lambda_{\max}$",
        "stability_edge": r"$2/\eta$",
        "sam_edge": "SAM edge",
    }
)

SYMBOLS: Mapping[str, str] = MappingProxyType(  # the symbol at the end of a label, where there is one
    {"rho": r"$\rho$", "lr": r"$\eta$", "data.snr": "SNR"}
    | {
        column: found[0]
        for column, words in LABELS.items()
        if (found := re.findall(r" (\$\\?\w+\$|\$\\\|\\mu\\\|\$)$", words))
    }
)


INKED: Sequence[Any] = ("axes.edgecolor", "text.color", "axes.labelcolor", "xtick.color", "ytick.color", "hatch.color")
GROUNDED: Sequence[Any] = ("figure.facecolor", "axes.facecolor")


@contextmanager
def paper(dark: bool | None = False) -> Iterator[None]:
    """Set the style within a `with` block, whatever the caller's settings are, and restore these after it.

    `dark` is for a dark page: light ink on a dark ground. The colours of cells mean the same on both.
    """
    token = _PAGE.set(DARK if dark else WHITE)
    try:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update({**RC, **dict.fromkeys(INKED, page().ink), **dict.fromkeys(GROUNDED, page().ground)})
            yield
    finally:
        _PAGE.reset(token)


def page() -> Page:
    """Return the colours of the page that is drawn on."""
    return _PAGE.get()


def on_dark(ax: Axes) -> bool:
    """Whether a caller's axes are on a dark ground."""
    red, green, blue, alpha = to_rgba(ax.get_facecolor())
    return alpha > 0.5 and 0.3 * red + 0.59 * green + 0.11 * blue < 0.4


def label(column: str) -> str:
    """Return the label of a column, or its name; for a number given as `{theory: c}`, of c in units of the theory.

    `test_error.u`, against true labels, has the kind of sample; another with a dot the label of what precedes it.
    """
    if column.startswith("test_error."):
        return f"test error, {_plain(column.removeprefix('test_error.'))}"
    if column.endswith(".theory"):
        return f"{label(column.removesuffix('.theory'))}, in units of theory"
    head, dot, kind = column.partition(".")
    if dot and head in LABELS:
        return f"{LABELS[head]}, {_plain(kind)}"
    return LABELS.get(column, _plain(column if "." in column else column.replace("_", " ")))


NAMES: Mapping[str, str] = MappingProxyType(  # as the papers spell them, where capitals alone are not enough
    {
        "adam": "Adam",
        "adamw": "AdamW",
        "asam_elementwise": "ASAM, element-wise",
        "component_sam": "component SAM",
        "label_noise": "label noise",
        "looksam": "LookSAM",
        "momentum_sam": "momentum-SAM",
        "m_usam": "m-USAM",
        "msam": "mSAM",
        "muon": "Muon",
        "n_sam": "n-SAM",
        "n_usam": "n-USAM",
        "random_perturbation": "random perturbation",
        "sampa": "SAMPa",
        "signsgd": "signSGD",
        "vasso": "VaSSO",
    }
)


LIMITS: Mapping[str, str] = MappingProxyType({RULE: "", FLOW: " flow", SDE: " SDE"})


def title(optimizer: Label) -> str:
    """Return an optimizer's label as a title: `sam sde rho=0.03` becomes SAM SDE, rho = 0.03.

    A user's own rule is named by its class, and the hash of its source is shortened as git shortens one.
    """
    name, dynamics = parted(optimizer.name)
    named = name.rpartition(":")[2] if ":" in name else NAMES.get(name, name.upper().replace("_", "-"))
    return ", ".join(
        [_plain(named) + LIMITS[dynamics], *(setting(key, value) for key, value in optimizer.settings.items())]
    )


def setting(key: str, value: str) -> str:
    """Return a key with its value as `rho = 0.03`, the key as its symbol where it has one."""
    key, theory, _ = key.partition(".theory")
    value = value[:7] if key in ("source", "base.source") else value
    symbol = SYMBOLS.get(key, _plain(key.rpartition(".")[2].replace("_", " ")))
    return f"{symbol} = {_plain(value)}" + " \N{MULTIPLICATION SIGN} theory" * bool(theory)


def _plain(words: str) -> str:
    """Return the text with its dollar signs escaped, so that none opens a formula."""
    return words.replace("$", r"\$")


def fresh(ax: Axes) -> list[str]:
    """Return the palette, with the colours that no line of the axes has first."""
    used = {to_hex(line.get_color()) for line in ax.lines}
    return sorted(page().palette, key=lambda colour: colour in used)


def marker(colour: str) -> str:
    """Return the marker of a colour of the palette: together they tell lines apart in colour and in grey."""
    return MARKERS[page().palette.index(colour)]


def toned(style: Mapping[str, Any]) -> dict[str, Any]:
    """Return a style with the colour of its `tone`, a place in the palette or None for ink; a given colour stays."""
    tone = style.get("tone")
    colour = page().ink if tone is None else page().palette[tone]
    return {"color": colour} | {key: value for key, value in style.items() if key != "tone"}


def sequential() -> Colormap:
    """Return the colour map of a quantity: pale is small, dark is large."""
    return LinearSegmentedColormap.from_list("mako", MAKO)


def diverging() -> Colormap:
    """Return the colour map of a difference: blue below zero, white at it, red above."""
    return mpl.colormaps["RdBu_r"]

"""Numbers as people read them."""


def human_size(count: float) -> str:
    """Give bytes with a binary unit, rounded down: 1536 is '1.5 KiB'. What is not whole never looks whole."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{int(count)} B" if unit == "B" else f"{_tenths(count)} {unit}"
        count /= 1024
    return f"{_tenths(count)} TiB" if count < 1024 else f"{_tenths(count / 1024)} PiB"


def _tenths(count: float) -> str:
    return f"{int(count * 10) / 10:.1f}"


def human_time(seconds: float) -> str:
    """Give seconds as '8 s', '3 min 05 s' or '2 h 10 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

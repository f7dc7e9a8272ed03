"""Durations, sizes and counts as people write them; everything that people read takes them from here."""


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number of things: 1 problem, 2 problems, 1,200 cells; `plural` where that is not the noun with an s."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def duration(seconds: float) -> str:
    """Seconds in the largest two units: 8.3 s, 45 s, 3 min 20 s, 1 h 12 min, 2 d 3 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    minutes, hours = round(whole / 60), round(whole / 3_600)
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 1_440 else f"{hours // 24} d {hours % 24} h"


def size(n_bytes: float) -> str:
    """Bytes in the unit that fits: 812 bytes, 4.7 MB, 1.2 TB."""
    unit, name = byte_unit(n_bytes)
    return f"{n_bytes:,.0f} bytes" if unit == 1 else f"{n_bytes / unit:,.1f} {name}"


def byte_unit(n_bytes: float) -> tuple[float, str]:
    """The largest unit that is not larger than a size: how many bytes it has, and its name."""
    units = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    return next(((unit, name) for unit, name in units if n_bytes >= unit), (1, "bytes"))

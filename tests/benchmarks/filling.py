"""What a process of a test does."""


def fills(megabytes: int) -> int:
    """Fill so much memory; return how many bytes."""
    return len(bytearray(megabytes * 10**6))

"""Bytes of a message as something that JSON can hold."""

from base64 import b64encode


def text_or_base64(value: bytes | None) -> str | dict[str, str] | None:
    """Return bytes as text, as `{"base64": ...}` if they are not UTF-8, None as None."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}

"""Text from tokens as they come, for byte-level BPE tokenizers such as GPT-2's.

A token of such a tokenizer is a string of bytes, and a character of UTF-8 may begin in one token and end in
the next. So pieces of text cannot be decoded token by token; bytes can, and an incremental UTF-8 decoder
holds back the ones that do not make a character yet. The pieces together are exactly what
`tokenizer.decode` makes of all tokens at once.
"""

import codecs
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers


def byte_alphabet() -> dict[str, int]:
    """The byte that each character of GPT-2's tokenizer.json stands for.

    Printable characters of Latin-1 stand for themselves, those from 256 on for the other bytes, in order.
    """
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


class Detokenizer:
    """The bytes of every token of a vocabulary. One serves an engine; it has no state."""

    def __init__(self, tokenizer: "tokenizers.Tokenizer"):
        decoder = type(tokenizer.decoder).__name__
        if decoder != "ByteLevel":
            raise ValueError(
                f"the tokenizer must be a byte-level BPE such as GPT-2's; its decoder is {decoder}"
            )
        alphabet = byte_alphabet()
        self.bytes_of_token: dict[int, bytes] = {}
        for text, token in tokenizer.get_vocab(with_added_tokens=True).items():
            if all(character in alphabet for character in text):
                self.bytes_of_token[token] = bytes(alphabet[character] for character in text)
            else:  # an added token, in plain text
                self.bytes_of_token[token] = text.encode()
        for token, added in tokenizer.get_added_tokens_decoder().items():
            if added.special:  # <|endoftext|> and the like are not text
                self.bytes_of_token[token] = b""

    def start(self, stop: tuple[str, ...] = (), min_tokens: int = 0) -> "TextDecoder":
        return TextDecoder(self.bytes_of_token, stop, min_tokens)

    def decode(self, tokens: Iterable[int], stop: tuple[str, ...] = (), min_tokens: int = 0) -> str:
        decoder = self.start(stop, min_tokens)
        return decoder.feed(tokens) + decoder.flush()


class TextDecoder:
    """The text of one answer. A token that the vocabulary lacks (a padded model has some) has no text.

    `stop` are texts that end it: what is handed out ends before the first of them, and until it is clear that a stop
    does not begin at the end of what there is, that end is held back. One that is complete before there are
    `min_tokens` tokens does not count.
    """

    def __init__(self, bytes_of_token: dict[int, bytes], stop: tuple[str, ...] = (), min_tokens: int = 0):
        self._bytes_of_token = bytes_of_token
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = stop
        self._min_tokens = min_tokens
        self._num_tokens = 0
        self._held = ""  # the end of the text, not handed out yet
        self.stopped_by: str | None = None  # the text that has ended the answer

    def feed(self, tokens: Iterable[int]) -> str:
        """The characters that these tokens complete; "" in the middle of one."""
        if not self._stop:
            return self._decoder.decode(b"".join(self._bytes_of_token.get(token, b"") for token in tokens))
        pieces = []
        for token in tokens:
            self._num_tokens += 1
            if self.stopped_by is None:
                pieces.append(self._check(self._decoder.decode(self._bytes_of_token.get(token, b""))))
        return "".join(pieces)

    def flush(self) -> str:
        """What is left at the end: U+FFFD if the answer stops in the middle of a character."""
        if self.stopped_by is not None:
            return ""
        return self._held + self._decoder.decode(b"", final=True)

    # [check]
    def _check(self, piece: str) -> str:
        """What may be handed out of the held text and the new piece."""
        text = self._held + piece
        ends = [(at, stop) for stop in self._stop if (at := self._find(text, stop, len(self._held))) >= 0]
        if ends:
            at, self.stopped_by = min(ends)
            self._held = ""
            return text[:at]
        longest = max((n for stop in self._stop if (n := _overlap(text, stop))), default=0)
        self._held = text[len(text) - longest :]
        return text[: len(text) - longest]

    # [/check]
    def _find(self, text: str, stop: str, num_old: int) -> int:
        """Where `stop` begins in text; -1 if it is not there, or if it came too early to count."""
        if self._num_tokens < self._min_tokens:
            return -1
        # All of it that is old has been looked at: it must end in the new piece.
        return text.find(stop, max(0, num_old - len(stop) + 1))


def _overlap(text: str, stop: str) -> int:
    """How much of the beginning of `stop` is the end of `text`."""
    for num in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:num]):
            return num
    return 0

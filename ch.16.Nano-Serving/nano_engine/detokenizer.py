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

    def start(self) -> "TextDecoder":
        return TextDecoder(self.bytes_of_token)

    def decode(self, tokens: Iterable[int]) -> str:
        decoder = self.start()
        return decoder.feed(tokens) + decoder.flush()


class TextDecoder:
    """The text of one answer. A token that the vocabulary lacks (a padded model has some) has no text."""

    def __init__(self, bytes_of_token: dict[int, bytes]):
        self._bytes_of_token = bytes_of_token
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, tokens: Iterable[int]) -> str:
        """The characters that these tokens complete; "" in the middle of one."""
        return self._decoder.decode(b"".join(self._bytes_of_token.get(token, b"") for token in tokens))

    def flush(self) -> str:
        """What is left at the end: U+FFFD if the answer stops in the middle of a character."""
        return self._decoder.decode(b"", final=True)

"""Log-probabilities in the two shapes of OpenAI's APIs.

A token's text may be part of a character: then it has no text, and is written as its bytes.
"""

from collections.abc import Sequence

from ..detokenizer import Detokenizer
from ..sampler import TokenLogprobs

LOWEST = -9999.0  # what OpenAI's API shows for a probability of 0, whose logarithm JSON cannot write


class LogprobsWriter:
    """One answer's tokens in order; it counts where in the text each begins."""

    def __init__(self, detokenizer: Detokenizer | None):
        self._bytes_of_token = {} if detokenizer is None else detokenizer.bytes_of_token
        self._decoder = None if detokenizer is None else detokenizer.start()
        self._offset = 0

    def completion(self, entries: Sequence[TokenLogprobs]) -> dict:
        """For /v1/completions: parallel lists."""
        offsets = []
        for entry in entries:
            offsets.append(self._offset)
            if self._decoder is not None:
                self._offset += len(self._decoder.feed([entry.token]))
        return {
            "tokens": [self._text(entry.token) for entry in entries],
            "token_logprobs": [finite(entry.logprob) for entry in entries],
            "top_logprobs": [
                {self._text(token): finite(value) for token, value in entry.top} for entry in entries
            ],
            "text_offset": offsets,
        }

    def chat(self, entries: Sequence[TokenLogprobs]) -> dict:
        """For /v1/chat/completions: an object for each token, with its likeliest alternatives."""
        content = [
            self._chat_token(entry.token, entry.logprob)
            | {"top_logprobs": [self._chat_token(token, value) for token, value in entry.top]}
            for entry in entries
        ]
        return {"content": content, "refusal": None}

    def _chat_token(self, token: int, value: float) -> dict:
        data = self._bytes_of_token.get(token, b"")
        return {"token": self._text(token), "logprob": finite(value), "bytes": list(data)}

    def _text(self, token: int) -> str:
        data = self._bytes_of_token.get(token, b"")
        if not data:  # a special token, or one beyond the vocabulary
            return f"token_id:{token}"
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def finite(value: float) -> float:
    return max(value, LOWEST)

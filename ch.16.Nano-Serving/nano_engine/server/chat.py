"""Messages to one prompt, by a template that the operator gave.

GPT-2 was never trained on conversations and its folder has no template. So there is none unless the operator
names a file; no request and no model folder can bring one. The template is rendered in jinja2's sandbox,
and what messages say is data to it, whatever it looks like.
"""

import pathlib

import jinja2
import jinja2.sandbox

from .errors import ApiError, invalid
from .protocol import Message

MAX_PROMPT_CHARS = 4_000_000  # of a rendering, before the limit on prompts is applied to it


class ChatTemplate:
    """source: jinja2, with `messages` and `add_generation_prompt`, and `raise_exception(sentence)` to refuse."""

    def __init__(self, source: str, special_tokens: frozenset[str] = frozenset()):
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
        )
        environment.globals = {"raise_exception": _raise_exception, "range": jinja2.sandbox.safe_range}
        self._special_tokens = special_tokens
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateSyntaxError as failure:
            raise ValueError(f"the chat template, line {failure.lineno}: {failure.message}") from None

    @classmethod
    def from_file(cls, path: str, special_tokens: frozenset[str]) -> "ChatTemplate":
        try:
            return cls(pathlib.Path(path).read_text("utf-8"), special_tokens)
        except UnicodeDecodeError as failure:
            raise ValueError(f"the chat template {path} is not UTF-8: {failure.reason}") from None

    def prompt(self, messages: list[Message]) -> str:
        """ApiError if the messages do not fit the template."""
        for index, message in enumerate(messages):
            for token in self._special_tokens:
                # It would become the token itself, and a message could end the conversation it is in.
                if token in message.content or token in (message.name or ""):
                    raise invalid(
                        f"messages[{index}].content", f"messages[{index}] contains the special token {token}"
                    )
        plain = [message.model_dump(exclude_none=True) for message in messages]
        try:
            text = ""
            for piece in self._template.generate(messages=plain, add_generation_prompt=True):
                text += piece
                if len(text) > MAX_PROMPT_CHARS:
                    raise invalid("messages", "the chat template makes too long a prompt of them")
            return text
        except (_Refused, jinja2.TemplateError, TypeError, ValueError, OverflowError) as failure:
            raise invalid("messages", f"the chat template refused them: {failure}") from None


class _Refused(Exception):
    pass


def _raise_exception(sentence: str) -> None:
    raise _Refused(sentence)


def no_template() -> ApiError:
    return ApiError(
        400,
        "this model has no chat template (GPT-2 was not trained on conversations), so there is no prompt for "
        "messages: use /v1/completions, or start the server with --chat-template FILE",
        param="messages",
        code="no_chat_template",
    )

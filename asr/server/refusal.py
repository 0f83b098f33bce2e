"""Why a request isn't served, in OpenAI's form."""

from typing import Any


class Refusal(Exception):
    """Answered by an HTTP status of 400 or more; the message is one line: the problem and the mend."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None, wait: int | None = None
    ) -> None:
        """param: the field of the request that is wrong. wait: seconds after which to try again."""
        super().__init__(status, message, param, code, wait)  # all of them, or it couldn't be pickled
        self.status, self.message, self.param, self.code, self.wait = status, message, param, code, wait

    @property
    def body(self) -> dict[str, Any]:
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
